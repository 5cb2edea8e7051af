//go:build !chaos

package fault

// At passes a point.
func At(Point) {}
