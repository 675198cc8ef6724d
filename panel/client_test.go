package panel

import (
	"testing"

	"github.com/postchi/postchi/models"
)

func TestClientWords(t *testing.T) {
	const chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"
	for client, want := range map[string]string{
		chrome: "Chrome", chrome + " Edg/130.0": "Edge",
		"Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0":                        "Firefox",
		"Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Safari/605.1.15": "Safari",
		"curl/8.0": "curl/8.0", "": "", "Mozilla/5.0 (Other)": "Mozilla/5.0 (Other)",
	} {
		if got := clientWords(models.ProtoPanel, client); got != want {
			t.Errorf("%s: %q, want %q", client, got, want)
		}
	}
	if got := clientWords(models.ProtoIMAP, chrome); got != chrome {
		t.Error(got)
	}
}
