package panel

import (
	"html/template"
	"strings"

	"github.com/postchi/postchi/models"
	"github.com/postchi/postchi/panel/i18n"
)

// protocolWords returns a protocol as mail programs write it, and the panel in words.
func protocolWords(l *i18n.Lang, p string) template.HTML {
	if models.Protocol(p) == models.ProtoPanel {
		return l.HTML("proto.panel")
	}
	return i18n.Isolate(strings.ToUpper(p))
}

// browsers are names in what browsers call themselves. Most claim to be all that come after them
// here, too.
var browsers = []struct{ mark, name string }{
	{"Edg", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser/", "Samsung Internet"}, {"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"},
	{"CriOS/", "Chrome"}, {"Chromium/", "Chromium"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"},
}

// clientWords shortens what a browser calls itself to what a person calls it; a mail program's
// name stays as it is.
func clientWords(p models.Protocol, client string) string {
	if p != models.ProtoPanel || !strings.HasPrefix(client, "Mozilla/") {
		return client
	}
	for _, b := range browsers {
		if strings.Contains(client, b.mark) {
			return b.name
		}
	}
	return client
}
