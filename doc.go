// Package bellhop is the vocabulary of Bellhop: the nouns that every part
// speaks of (events, invocations, runs, reports, jobs), the ports that the
// parts meet at (store, bus, executor, destination), and the one error type.
//
// It imports the standard library only, and nothing in it does work of its own
// beyond checking, encoding and comparing values. The rules of when something
// may happen live in internal/engine; adapters live in packages named after
// what they wrap.
package bellhop
