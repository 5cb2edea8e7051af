// Package e2e drives the real binary as people do: at a shell, over SSH, with
// kill -9. It holds tests alone.
//
// What a script may say beside testscript's own commands stands at commands in
// commands_test.go. BELLHOP_E2E_BIN names a binary that is to be tested
// instead of one built here; BELLHOP_TEST_RACE=0 builds without the race
// detector, 1 insists on it.
package e2e
