// Package webtest tests the web page as people use it: the real binary, in a
// real Chromium. There is nothing in it but tests.
package webtest
