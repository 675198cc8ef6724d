// Package templates holds the pages of the panel as html/template: base.html is the frame,
// partials are shared parts, and each file of pages defines "title" and "main".
package templates

import "embed"

// FS has base.html, partials/*.html and pages/*.html.
//
//go:embed base.html partials pages
var FS embed.FS
