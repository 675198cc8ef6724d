package service

import (
	"slices"
	"testing"
)

func TestWhatATextMayBe(t *testing.T) {
	for text, want := range map[string][]FindKind{
		"":                       {FindLatest},
		"  ":                     {FindLatest},
		"sara@example.com":       {FindAddress, FindMessageID},
		"Sara+Shop@example.com":  {FindAddress, FindMessageID},
		"<sara@example.com>":     {FindMessageID, FindAddress},
		"<CAF+x1=1@far.example>": {FindMessageID, FindAddress},
		"example.com":            {FindDomain, FindSubject},
		"@example.com":           {FindDomain, FindSubject},
		"www.example.com":        {FindDomain, FindSubject},
		"فروشگاه.example":        {FindDomain, FindSubject},
		"252838988895748096":     {FindID},
		"۲۵۲۸۳۸۹۸۸۸۹۵۷۴۸۰۹۶":     {FindID},
		"5512":                   {FindSubject},
		"invoice":                {FindSubject},
		"Re: invoice.pdf":        {FindSubject},
		"گزارش ماهانه":           {FindSubject},
		"https://example.com/x":  {FindSubject},
		"mail me @ noon":         {FindSubject},
	} {
		if got := understand(text); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
