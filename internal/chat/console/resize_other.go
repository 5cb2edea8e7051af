//go:build !unix

package console

func onResize(func()) (stop func()) { return func() {} }
