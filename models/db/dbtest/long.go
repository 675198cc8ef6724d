package dbtest

import "os"

// LongEnv names the variable that asks for the long form of the proofs.
const LongEnv = "POSTCHI_LONG"

// Long reports whether the proofs are to be run in their long form, as make crashtest does:
// minutes instead of seconds.
func Long() bool { return os.Getenv(LongEnv) != "" }
