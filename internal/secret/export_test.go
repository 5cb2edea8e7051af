package secret

// Cut has every step of a rotation tell a test first, which may end it there.
func (o Options) Cut(fn func(step string) error) Options {
	o.cut = fn
	return o
}

// Bound is what a sealed value is bound to.
func Bound(owner, name string) string { return string(bound(owner, name)) }
