package rule

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
)

// TestObjectsAreWhatWasPut holds random changes of objects against those of a map: what is there, in which order, and that
// what was there before has not changed.
func TestObjectsAreWhatWasPut(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	chance := rand.New(rand.NewPCG(seed, 0))
	for round := range 40 {
		model := map[string]any{}
		keys := 500
		if round%10 == 9 {
			keys = 4 * partsSize * sectionSize // several levels
		}
		for range chance.IntN(keys) {
			model[fmt.Sprint("k", chance.IntN(keys))] = chance.IntN(10)
		}
		objects := ObjectsOf(model)
		for step := range 400 {
			key, before, was := fmt.Sprint("k", chance.IntN(keys)), objects, objects.All()
			if chance.IntN(5) < 2+round%2 {
				content := chance.IntN(10)
				model[key] = content
				objects = objects.With(key, content)
			} else {
				delete(model, key)
				objects = objects.Without(key)
			}
			var want []any
			for _, key := range slices.Sorted(maps.Keys(model)) {
				want = append(want, model[key])
			}
			if got := objects.All(); !slices.Equal(got, want) || objects.Len() != len(model) {
				t.Fatalf("seed %d, round %d, step %d: they are\n%v\nand not\n%v", seed, round, step, got, want)
			}
			if got, there := objects.Get(key); there != (model[key] != nil) || got != model[key] {
				t.Fatalf("seed %d: %s is %v, %v and not %v", seed, key, got, there, model[key])
			}
			if again := before.All(); !slices.Equal(again, was) {
				t.Fatalf("seed %d: a change changed what was there before", seed)
			}
			if objects.root != nil {
				if _, wrong := depthOf(objects.root); wrong != "" {
					t.Fatalf("seed %d, round %d, step %d: %s", seed, round, step, wrong)
				}
			}
		}
		for key := range model { // in no order
			if chance.IntN(8) > 0 {
				delete(model, key)
				objects = objects.Without(key)
			}
		}
		if objects.Len() != len(model) {
			t.Errorf("seed %d: of %d objects %d are left", seed, len(model), objects.Len())
		}
		if n := leaves(objects.root); n > 4+4*objects.Len()/sectionSize {
			t.Errorf("seed %d: %d objects are in %d sections", seed, objects.Len(), n)
		}
	}
}

// depthOf is how deep a section is, and what is wrong with it.
func depthOf(of *section) (deep int, wrong string) {
	if of.parts == nil {
		if n := len(of.keys); n == 0 || n > sectionSize || n != len(of.contents) || n != of.size || of.first != of.keys[0] {
			return 0, fmt.Sprintf("a section of size %d from %q has %d keys and %d contents", of.size, of.first, n, len(of.contents))
		}
		return 0, ""
	}
	size := 0
	for n, part := range of.parts {
		depth, wrong := depthOf(part)
		if wrong != "" {
			return 0, wrong
		}
		if n > 0 && (depth+1 != deep || part.first <= of.parts[n-1].first) {
			return 0, fmt.Sprintf("part %d is %d deep and begins at %q, the one before is %d deep and begins at %q", n, depth, part.first, deep-1, of.parts[n-1].first)
		}
		deep, size = depth+1, size+part.size
	}
	if n := len(of.parts); n == 0 || n > partsSize || of.size != size || of.first != of.parts[0].first {
		return 0, fmt.Sprintf("a section of size %d from %q has %d parts of %d", of.size, of.first, n, size)
	}
	return deep, ""
}

func leaves(of *section) int {
	if of == nil || of.parts == nil {
		return 1
	}
	n := 0
	for _, part := range of.parts {
		n += leaves(part)
	}
	return n
}

// looping are expressions whose loops are run over sections, alone and among others, and some that must not be.
var looping = map[string]bool{
	"objects.all(o, o.n < 7)":     true,
	"!objects.exists(o, o.n > 7)": true,
	"objects.size() > 3 && objects.filter(o, o.n > 6).size() * 10 < objects.size()": true,
	"objects.filter(o, o.n == 9).map(o, string(o.n) + o.text).join(', ') != '9x'":   true,
	"objects.filter(o, o.n < 9)[0].text == 'x' || objects.all(o, has(o.text))":      true,
	"objects.all(o, o.text == 'x')":                                                 true, // an error where there is none
	"objects.exists(o, o.text == 'x')":                                              true,
	"objects.filter(o, o.text == 'x').size() > 2":                                   true,
	"objects.all(o, o.n)":                                                         true, // an error everywhere
	"objects.all(o, o.n < params.most)":                                           true,
	"objects.all(o, related.others.exists(x, x.n == o.n))":                        true,
	"objects.all(o, timestamp(o.at) < now)":                                       true,
	"objects.exists(o, now - timestamp(o.at) >= duration('3m'))":                  true,
	"objects.filter(o, timestamp(o.at) + duration('1m') > now).size() > 3":        true,
	"objects.all(o, now.getMinutes() == 5 || o.n < 8 && timestamp(o.at) <= now)":  true,
	"objects.all(o, string(o.n) != version || versionFrom == '')":                 true,
	"objects.all(o, objects.exists(p, p.n == o.n))":                               false,
	"objects.all(o, objects.size() > o.n)":                                        false,
	"objects.map(o, o.n).all(n, n < 9)":                                           false,
	"objects.exists_one(o, o.n == 3)":                                             false,
	"related.others.all(x, objects.exists(o, o.n == x.n))":                        false,
	"related.others.all(o, objects.exists(p, o.n == 3 && p.l.exists(o, o == 1)))": false, // o is another o
	"related.others.all(x, x.n < 10 || objects.exists(o, o.n == 3))":              true,
	"params.most > 3 ? objects.all(o, o.n < 7) : objects.exists(o, o.n > 7)":      true,
}

// TestLoopsComeOutTheSame shows that what a rule says of objects that change one by one, most of which it has looked at
// before, is what it says where it looks at all of them for the first time: the outcome, and whether it fails.
func TestLoopsComeOutTheSame(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	chance := rand.New(rand.NewPCG(seed, 0))
	const many = 10 * sectionSize // in sections of sections
	content := func() any {       // now and then one that decides
		o := map[string]any{"n": int64(chance.IntN(7)), "l": []any{int64(chance.IntN(2))}, "text": "x", "at": "2027-01-02T03:00:00Z"}
		switch chance.IntN(48) {
		case 0:
			delete(o, "text")
		case 1:
			o["text"] = "y"
		case 2:
			o["n"] = int64(7 + chance.IntN(3))
		case 3:
			o["at"] = fmt.Sprintf("2027-01-02T03:0%d:00Z", 3+chance.IntN(4))
		}
		return Everything().Keep(o)
	}
	contents := map[string]any{}
	for n := range many {
		contents[fmt.Sprint(n)] = Everything().Keep(map[string]any{"n": int64(n % 7), "l": []any{}, "text": "x", "at": "2027-01-02T03:00:00Z"})
	}
	now := time.Date(2027, 1, 2, 3, 4, 0, 0, time.UTC)
	in := Input{
		Objects: ObjectsOf(contents), Related: map[string][]any{"others": {content(), content()}}, RelatedRevision: 1,
		Params: Params{"most": int64(8)}, ParamsText: "8", Now: now, Version: "3", VersionFrom: "Image",
	}
	programs := map[string]*Program{}
	for expression, sectioned := range looping {
		program, err := compile(NamedCheck, expression)
		if err != nil {
			t.Fatal(err)
		}
		checked, _ := must(environmentOf(NamedCheck)).Compile(expression)
		if got := len(loopsOf(checked.NativeRep()).over) > 0; got != sectioned {
			t.Errorf("%s: it is run over sections: %v", expression, got)
		}
		programs[expression] = program
	}
	said := map[string]map[string]bool{}
	for step := range 250 {
		key := fmt.Sprint(chance.IntN(many * 11 / 10))
		switch chance.IntN(8) {
		case 0:
			in.Objects = in.Objects.Without(key)
		case 1:
			in.RelatedRevision++
			in.Related = map[string][]any{"others": {content(), content(), content()}}
		case 2:
			most := int64(chance.IntN(4) + 6)
			in.Params, in.ParamsText = Params{"most": most}, fmt.Sprint(most)
		case 3:
			in.Now = now.Add(time.Duration(chance.IntN(180)-30) * 2 * time.Second) // now and then it is what an object has
		case 4:
			in.Version = fmt.Sprint(chance.IntN(10))
		default:
			in.Objects = in.Objects.With(key, content())
		}
		whole := in
		whole.Objects = Once(in.Objects.All()...)
		for expression, program := range programs {
			want, wantErr := program.Holds(whole)
			got, gotErr := program.Holds(in)
			if got != want || (gotErr == nil) != (wantErr == nil) || wantErr != nil && gotErr.Error() != wantErr.Error() {
				t.Fatalf("seed %d, step %d: %s is %v, %v, and over all at once %v, %v", seed, step, expression, got, gotErr, want, wantErr)
			}
			if said[expression] == nil {
				said[expression] = map[string]bool{}
			}
			said[expression][fmt.Sprint(want, wantErr != nil)] = true
		}
	}
	turned := 0
	for _, outcomes := range said {
		if len(outcomes) > 1 {
			turned++
		}
	}
	if turned < len(looping)/4 { // it is half of them, more or less
		t.Errorf("seed %d: of %d expressions only %d said more than one thing", seed, len(looping), turned)
	}
}

// TestLoopsLookAtWhatChanged shows that a change of one object has a loop look at its section alone, and at the outcomes of those
// beside it and around it.
func TestLoopsLookAtWhatChanged(t *testing.T) {
	program, err := compile(Check, "objects.all(o, o.n < 5) && !objects.exists(o, o.n == 7) && objects.filter(o, o.n == 4).size() == 1")
	if err != nil {
		t.Fatal(err)
	}
	contents := map[string]any{}
	for n := range 10 * sectionSize {
		contents[fmt.Sprint(n)] = &counted{}
	}
	contents["3"] = &counted{n: 4}
	objects := ObjectsOf(contents)
	looks := func() int {
		if holds, err := program.Holds(Input{Objects: objects}); err != nil || !holds {
			t.Fatal(holds, err)
		}
		n := 0
		for _, o := range objects.All() {
			n += o.(*counted).looks
			o.(*counted).looks = 0
		}
		return n
	}
	if n := looks(); n != 3*len(contents) {
		t.Errorf("the first time %d looks are taken at %d objects by three loops", n, len(contents))
	}
	if n := looks(); n != 0 {
		t.Errorf("nothing changed, and %d looks are taken", n)
	}
	objects = objects.With("77", &counted{n: 2})
	if n := looks(); n == 0 || n > 3*sectionSize {
		t.Errorf("one of %d objects changed, and %d looks are taken", len(contents), n)
	}
}

// counted is an object that counts how often one of its fields is looked at.
type counted struct {
	record
	n, looks int
}

// Find implements traits.Mapper.
func (c *counted) Find(ref.Val) (ref.Val, bool) {
	c.looks++
	return types.Int(c.n), true
}

// Get implements traits.Indexer.
func (c *counted) Get(key ref.Val) ref.Val {
	value, _ := c.Find(key)
	return value
}

// TestLoopsCostTheSame shows that a rule is cut off, or not, whatever is known of its objects already.
func TestLoopsCostTheSame(t *testing.T) {
	text := strings.Repeat("ab", 2000)
	contents := map[string]any{}
	for n := range 3000 {
		contents[fmt.Sprint(n)] = Everything().Keep(map[string]any{"text": text, "l": make([]any, 300)})
	}
	objects := ObjectsOf(contents)
	for expression, cut := range map[string]bool{
		"objects.all(o, o.text.size() > 1)":                                                false,
		"objects.all(o, o.text.matches('^(a|b|ab|ba|aa|bb)*$'))":                           true, // by its work
		"objects.all(o, o.l.all(x, x == null)) && objects.all(o, o.l.size() > 1)":          false,
		"objects.all(o, o.l.all(x, x == null) && o.l.all(x, x == null))":                   true, // by its rounds
		"!objects.exists(o, o.text.replace('a', 'bbbbbbbbbbbb') == 'x') || true":           true, // by what it makes
		"objects.filter(o, o.l.exists(x, x != null) || o.l.exists(x, x == 1)).size() == 0": true,
	} {
		program, err := compile(Check, expression)
		if err != nil {
			t.Fatal(err)
		}
		_, whole := program.Holds(Input{Objects: Once(objects.All()...)})
		for look := range 4 {
			if _, err := program.Holds(Input{Objects: objects}); errors.Is(err, ErrTooCostly) != cut || errors.Is(whole, ErrTooCostly) != cut {
				t.Errorf("%s, look %d: %v, and over all at once %v", expression, look, err, whole)
			}
			objects = objects.With(fmt.Sprint(look), contents["5"])
		}
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
