package uprobe

// maxForgotten bounds the calls that are to be forgotten later: a small part of
// those that the kernel can have open.
const maxForgotten = 1 << 14

// forgetting are calls that were left without a return, which the kernel still has as
// open.
//
// It is made to forget them when they have been so for a second at least. Until then
// the goroutine has nearly always called something at the same place on its stack,
// which takes the place in the kernel, too. To forget at once is to look whether the
// call is still there, and then to remove what is: just when the goroutine is busy at
// that place, so that another call may come in between, and would be lost.
type forgetting struct {
	before, now []callID // those of the time before the last tick, and since then
}

// forget makes the kernel forget a call some time.
func (j *joiner) forget(c *openCall) {
	f := &j.forgetting
	if len(f.before)+len(f.now) >= maxForgotten {
		if len(f.before) == 0 {
			f.before, f.now = f.now, f.before
		}
		j.forgetNow(f.before[0])
		f.before = f.before[1:]
	}
	f.now = append(f.now, c.callID)
}

// forgetOld makes the kernel forget what it was to forget before the last tick.
func (j *joiner) forgetOld() {
	f := &j.forgetting
	for _, id := range f.before {
		j.forgetNow(id)
	}
	f.before, f.now = f.now, f.before[:0]
}

// forgetNow makes the kernel forget a call. Another one that it has in its place by
// now, and forgets instead, is lost.
func (j *joiner) forgetNow(id callID) {
	if other := j.calls.forget(id); other != 0 {
		id.time = other
		j.stolen[id] = true
	}
}
