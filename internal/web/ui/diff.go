package ui

import "strings"

// diffLine is a line of how two texts differ.
type diffLine struct {
	Sign byte // ' ' = in both, '-' = in the first, '+' = in the second, '@' = Text tells how many are left out
	Text string
}

const (
	diffAround = 3         // lines that are shown round each change
	diffMost   = 4_000_000 // pairs of lines that are compared: some 16 MB
)

// diff compares two texts line by line; false: they differ in too much to be
// compared.
func diff(a, b string) ([]diffLine, bool) {
	x, y := textLines(a), textLines(b)
	begin := 0
	for begin < len(x) && begin < len(y) && x[begin] == y[begin] {
		begin++
	}
	end := 0
	for end < len(x)-begin && end < len(y)-begin && x[len(x)-1-end] == y[len(y)-1-end] {
		end++
	}
	p, q := x[begin:len(x)-end], y[begin:len(y)-end]
	if (len(p)+1)*(len(q)+1) > diffMost {
		return nil, false
	}
	all := same(x[:begin])
	all = append(all, middle(p, q)...)
	return folded(append(all, same(x[len(x)-end:])...)), true
}

func textLines(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(s, "\n"), "\n")
}

func same(lines []string) []diffLine {
	out := make([]diffLine, len(lines))
	for i, l := range lines {
		out[i] = diffLine{' ', l}
	}
	return out
}

// middle is what two texts without common ends have in common at most (longest
// common subsequence).
func middle(p, q []string) (out []diffLine) {
	w := len(q) + 1
	long := make([]int32, (len(p)+1)*w) // of p[i:] and q[j:]
	for i := len(p) - 1; i >= 0; i-- {
		for j := len(q) - 1; j >= 0; j-- {
			if p[i] == q[j] {
				long[i*w+j] = long[(i+1)*w+j+1] + 1
			} else {
				long[i*w+j] = max(long[(i+1)*w+j], long[i*w+j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(p) || j < len(q) {
		switch {
		case i < len(p) && j < len(q) && p[i] == q[j]:
			out = append(out, diffLine{' ', p[i]})
			i, j = i+1, j+1
		case j == len(q) || i < len(p) && long[(i+1)*w+j] >= long[i*w+j+1]:
			out = append(out, diffLine{'-', p[i]})
			i++
		default:
			out = append(out, diffLine{'+', q[j]})
			j++
		}
	}
	return out
}

// folded leaves out what is far from every change.
func folded(all []diffLine) (out []diffLine) {
	near := make([]bool, len(all))
	for i, l := range all {
		if l.Sign == ' ' {
			continue
		}
		for k := max(0, i-diffAround); k < min(len(all), i+diffAround+1); k++ {
			near[k] = true
		}
	}
	for i := 0; i < len(all); {
		if near[i] {
			out = append(out, all[i])
			i++
			continue
		}
		n := i
		for i < len(all) && !near[i] {
			i++
		}
		out = append(out, diffLine{'@', count(i-n, "line") + " as before"})
	}
	return out
}
