package e2e

import (
	"slices"
	"testing"
)

func TestHottest(t *testing.T) {
	for name, test := range map[string]struct {
		budget uint64
		all    []heat
		want   []string
	}{
		"nothing":                     {0, nil, nil},
		"no calls":                    {0, []heat{{"a", 0, 11}, {"b", 0, 1}}, nil},
		"no budget":                   {0, []heat{{"a", 7, 11}, {"b", 0, 1}}, []string{"a"}},
		"all within":                  {100, []heat{{"b", 40, 1}, {"a", 60, 1}}, nil},
		"one is enough":               {10, []heat{{"b", 10, 1}, {"a", 90, 1}, {"c", 0, 20}}, []string{"a"}},
		"one is not":                  {10, []heat{{"b", 11, 1}, {"a", 89, 1}, {"c", 0, 20}}, []string{"a", "b"}},
		"the fewest":                  {10, []heat{{"a", 30, 1}, {"b", 60, 1}, {"c", 5, 1}, {"d", 5, 1}}, []string{"b", "a"}},
		"all alike":                   {1, []heat{{"d", 1, 1}, {"c", 1, 1}, {"b", 1, 1}, {"a", 1, 1}}, []string{"a", "b", "c"}},
		"a trap costs more than many": {100, []heat{{"emulated", 100, priceEmulated}, {"stepped", 95, priceEmulated + priceStepped}}, []string{"stepped"}},
		"and is not all":              {100, []heat{{"emulated", 950, priceEmulated}, {"stepped", 1, priceEmulated + priceStepped}}, []string{"emulated"}},
	} {
		before := slices.Clone(test.all)
		var got []string
		for _, h := range hottest(test.all, test.budget) {
			got = append(got, h.name)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %v are left out, want %v", name, got, test.want)
		}
		if !slices.Equal(test.all, before) {
			t.Errorf("%s: the argument is changed: %v", name, test.all)
		}
	}
	// None of them is left out without need.
	all := make([]heat, 1000)
	for i := range all {
		all[i] = heat{string(rune('a' + i)), uint64(1000000 / (i + 1)), uint64(1 + i%3)}
	}
	for budget := cost(all); budget > 0; budget /= 3 {
		out := hottest(all, budget)
		rest := cost(all) - cost(out)
		if rest > budget || len(out) > 0 && rest+out[len(out)-1].cost() <= budget {
			t.Errorf("%d functions are left out of %d: the others cost %d of %d", len(out), len(all), rest, budget)
		}
	}
}

func TestHotter(t *testing.T) {
	all := []heat{{"a", 10, 1}, {"b", 10, 2}, {"c", 10, 3}}
	hotter(all, []heat{{"d", 30, 1}, {"b", 20, 1}, {"c", 5, 1}})
	if want := []heat{{"a", 10, 1}, {"b", 20, 2}, {"c", 10, 3}}; !slices.Equal(all, want) {
		t.Errorf("%v, want %v", all, want)
	}
}
