// Package migrations holds the schema of the database as plain SQL, one folder for each
// dialect with the same numbers and names, and applies it. Steps go forward only; a released
// step is never edited.
package migrations

import "embed"

//go:embed sqlite/*.sql mysql/*.sql
var files embed.FS
