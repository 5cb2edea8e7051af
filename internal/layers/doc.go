// Package layers holds no code, only the tests that keep the house in order:
// which package may import which, who owns which dependency, and the few rules
// of style that a program can check. Each rule stands in a table with its
// reason; to change the house, change the table in the same commit and say why.
package layers
