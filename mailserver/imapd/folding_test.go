package imapd_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"

	"github.com/postchi/postchi/models/db/dbtest"
)

// letters are one message for each charset, with a word that is looked for in its own way of
// writing: other case, other yeh or kaf, without the joiners.
var letters = []struct {
	charset    string
	enc        encoding.Encoding
	text, find string
}{
	{"utf-8", nil, "سلام، كتاب\u200cهاي علي رسید ١٢٣", "کتابهای علی"}, // Arabic kaf and yeh, a joiner
	{"utf-8", nil, "کتاب\u200cهای ما", "كتاب\u200cهاي ما"},
	{"utf-8", nil, "شمارهٔ ۴۵۶ و ســـلام", "٤٥٦ و سلام"},
	{"windows-1256", charmap.Windows1256, "نامه ي پارسا", "نامه ی پارسا"},
	{"iso-8859-1", charmap.ISO8859_1, "Ärger über Größe", "äRGER ÜBER GRÖßE"},
	{"iso-8859-2", charmap.ISO8859_2, "Zażółć gęślą", "ZAŻÓŁĆ GĘŚLĄ"},
	{"iso-8859-6", charmap.ISO8859_6, "مرحبا علي", "مرحبا علی"},
	{"windows-1252", charmap.Windows1252, "dit „naïve“ façade", "NAÏVE“ FAÇADE"},
	{"koi8-r", charmap.KOI8R, "Привет Мир", "пРИВЕТ мИР"},
	{"windows-1251", charmap.Windows1251, "Счёт Оплачен", "счёт оплачен"},
	{"iso-2022-jp", japanese.ISO2022JP, "請求書の件", "求書の"},
	{"shift_jis", japanese.ShiftJIS, "会議の資料", "の資料"},
	{"euc-jp", japanese.EUCJP, "お世話になって", "世話に"},
	{"euc-kr", korean.EUCKR, "안녕하세요 회의", "세요 회의"},
	{"gb18030", simplifiedchinese.GB18030, "会议通知", "议通"},
	{"big5", traditionalchinese.Big5, "會議通知", "議通"},
	{"utf-16", unicode.UTF16(unicode.BigEndian, unicode.UseBOM), "Sechzehn Bit", "SECHZEHN bit"},
}

// TestSearchCharsets finds words in bodies and subjects of all common charsets, in base64 and
// quoted-printable with the line broken within the word.
func TestSearchCharsets(t *testing.T) {
	h := open(t, dbtest.SQLite(t))
	m := h.mailbox(t)
	for i, l := range letters {
		raw := []byte(l.text)
		if l.enc != nil {
			var err error
			if raw, err = l.enc.NewEncoder().Bytes(raw); err != nil {
				t.Fatalf("%s: %v", l.charset, err)
			}
		}
		word := base64.StdEncoding.EncodeToString(raw)
		encoding, body := "base64", word
		if i%2 == 0 {
			encoding, body = "quoted-printable", ""
			for i, b := range raw {
				if body += fmt.Sprintf("=%02X", b); i%3 == 2 {
					body += "=\r\n"
				}
			}
		}
		h.Deliver(t, []byte("From: a@example.org\r\nSubject: =?"+l.charset+"?B?"+word+"?=\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset="+l.charset+
			"\r\nContent-Transfer-Encoding: "+encoding+"\r\n\r\n"+body+"\r\n"), m.ID)
	}
	c := h.login(t)
	c.ok("SELECT INBOX")
	for i, l := range letters {
		for _, key := range []string{"BODY", "SUBJECT"} {
			got := c.ok(fmt.Sprintf("SEARCH CHARSET UTF-8 %s {%d+}\r\n%s", key, len(l.find), l.find))[0]
			if !slices.Contains(strings.Fields(got), itoa(i+1)) {
				t.Errorf("%s %s %q: %s, want %d", key, l.charset, l.find, got, i+1)
			}
		}
	}
	none := "نیست\u200cدر\u200cآن"
	c.want(fmt.Sprintf("SEARCH CHARSET UTF-8 TEXT {%d+}\r\n%s", len(none), none), "OK", "* SEARCH")
}
