package e2e

import (
	"slices"
	"testing"
)

func TestHottest(t *testing.T) {
	for name, test := range map[string]struct {
		all  []heat
		want []string
	}{
		"nothing":                     {nil, nil},
		"no calls":                    {[]heat{{"a", 0, 11}, {"b", 0, 1}}, nil},
		"one":                         {[]heat{{"a", 7, 11}}, []string{"a"}},
		"one makes nine tenths":       {[]heat{{"b", 10, 1}, {"a", 90, 1}, {"c", 0, 20}}, []string{"a"}},
		"one makes less":              {[]heat{{"b", 11, 1}, {"a", 89, 1}, {"c", 0, 20}}, []string{"a", "b"}},
		"the fewest":                  {[]heat{{"a", 30, 1}, {"b", 60, 1}, {"c", 5, 1}, {"d", 5, 1}}, []string{"b", "a"}},
		"all alike":                   {[]heat{{"d", 1, 1}, {"c", 1, 1}, {"b", 1, 1}, {"a", 1, 1}}, []string{"a", "b", "c", "d"}},
		"a trap costs more than many": {[]heat{{"emulated", 100, priceEmulated}, {"stepped", 95, priceEmulated + priceStepped}}, []string{"stepped"}},
		"and is not all":              {[]heat{{"emulated", 950, priceEmulated}, {"stepped", 1, priceEmulated + priceStepped}}, []string{"emulated"}},
	} {
		before := slices.Clone(test.all)
		var got []string
		for _, h := range hottest(test.all) {
			got = append(got, h.name)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %v are left out, want %v", name, got, test.want)
		}
		if !slices.Equal(test.all, before) {
			t.Errorf("%s: the argument is changed: %v", name, test.all)
		}
	}
	// What is left takes a tenth each time.
	all := make([]heat, 1000)
	for i := range all {
		all[i] = heat{string(rune('a' + i)), uint64(1000000 / (i + 1)), priceStepped}
	}
	sum := func(all []heat) (n uint64) {
		for _, h := range all {
			n += h.cost()
		}
		return n
	}
	out := hottest(all)
	if rest := sum(all) - sum(out); rest*hotRest > sum(all) {
		t.Errorf("%d of %d are left", rest, sum(all))
	}
	if rest := sum(all) - sum(out[:len(out)-1]); rest*hotRest <= sum(all) {
		t.Errorf("one of %d functions would not have to be left out", len(out))
	}
}
