package uprobe

import (
	"sync"

	"github.com/cilium/ebpf/link"

	"github.com/argtap/argtap/internal/probegen"
)

// linkStage says when a link is removed.
type linkStage uint8

// The stages, in the order in which links are removed: those of each wait for the ones
// before.
const (
	// stageEntry: entries of functions.
	stageEntry linkStage = iota
	// stageAnnounce: what tells of the next hit of an entry that it is no other call,
	// or that its registers no longer have the arguments: branches back to the entry,
	// and calls of morestack. An entry that is hit without them would be a call too
	// many, or one with other values.
	stageAnnounce
	// stageLater: what comes after entries. A call that is seen to begin is seen to
	// end.
	stageLater
	stages
)

// stagedLinks are links by their stages.
type stagedLinks [stages][]link.Link

// stage returns that of the link of an entry's site or of a later one; those of the
// branches back to an entry have none of their own.
func (s *entrySite) stage() linkStage {
	switch {
	case s.Role != probegen.RoleEntry:
		return stageLater
	case s.Mark == probegen.SetGrown:
		return stageAnnounce
	}
	return stageEntry
}

// addLink keeps a link, with those of its owner if it has one.
func (k *kernel) addLink(l link.Link, stage linkStage, owner *Func) {
	k.mu.Lock()
	defer k.mu.Unlock()
	links := &k.links
	if owner != nil {
		if k.funcLinks == nil {
			k.funcLinks = map[*Func]*stagedLinks{}
		}
		if links = k.funcLinks[owner]; links == nil {
			links = new(stagedLinks)
			k.funcLinks[owner] = links
		}
	}
	links[stage] = append(links[stage], l)
}

// detach removes all probes. Each removal waits until no program runs any
// more, those that are removed together wait no longer than one.
func (k *kernel) detach() {
	k.mu.Lock()
	all := k.links
	k.links = stagedLinks{}
	for _, links := range k.funcLinks {
		for i := range links {
			all[i] = append(all[i], links[i]...)
		}
	}
	k.funcLinks = nil
	if k.joins {
		// A return must not be taken for that of a call that was left in its place before:
		// as long as it is probed, the entry is.
		all[stageEntry], all[stageAnnounce], all[stageLater] = all[stageLater], all[stageEntry], all[stageAnnounce]
	}
	k.mu.Unlock()
	for _, links := range all {
		k.closeLinks(links)
	}
}

// closers is how many links are closed at the same time: each occupies a
// thread.
const closers = 64

func (k *kernel) closeLinks(links []link.Link) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, closers)
	for _, l := range links {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := l.Close(); err != nil {
				k.opts.log.Warn("cannot detach a probe", "err", err)
			}
		})
	}
	wg.Wait()
}
