// Package ui is the web page.
package ui
