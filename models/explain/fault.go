package explain

// Attempt explains what became of an attempt to send: what kept us from an answer, by the reason
// that the queue gives, if code is 0, else the answer as Of does. enhanced decides whether it is
// tried again. A reason that nobody knows is explained by the rest.
func Attempt(reason string, code int, enhanced, text, lang string) Words {
	e, ok := faults[reason]
	if code != 0 || !ok {
		return Of(code, enhanced, text, lang)
	}
	w := e.words("fault."+reason, lang)
	if read(code, enhanced, text).temporary() {
		w.Wait = wait(lang)
	}
	return w
}
