package mime

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
)

const benchHeader = "Received: from a.example.net (a.example.net [192.0.2.1])\r\n\tby mail.example.com with ESMTPS id 1234\r\n\tfor <omid@example.com>; Sat, 14 Mar 2026 09:30:00 +0330\r\n" +
	"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.net; s=s1;\r\n\th=from:to:subject:date; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n\tb=" + "abcdefghijklmnopqrstuvwxyz0123456789\r\n" +
	"From: =?UTF-8?B?2LPYp9ix2Kc=?= <sara@example.net>\r\nTo: Omid <omid@example.com>, \"Ali R.\" <ali@example.com>\r\nCc: list@example.org\r\n" +
	"Subject: Re: [list] =?UTF-8?B?2b7Yp9iz2K46INqv2LLYp9ix2LQg2YXYp9mH2KfZhtmHINm+2LPYqg==?=\r\nDate: Sat, 14 Mar 2026 09:30:00 +0330\r\n" +
	"Message-ID: <0123456789abcdef@example.net>\r\nIn-Reply-To: <fedcba9876543210@example.com>\r\nReferences: <root@example.com> <fedcba9876543210@example.com>\r\nMIME-Version: 1.0\r\n"

func benchMessage(size int) []byte {
	var b strings.Builder
	b.WriteString(benchHeader + "Content-Type: multipart/mixed; boundary=\"=_outer\"\r\n\r\nThis is a multi-part message.\r\n--=_outer\r\n")
	b.WriteString("Content-Type: multipart/alternative; boundary=\"=_inner\"\r\n\r\n--=_inner\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n")
	b.WriteString(strings.Repeat("=D8=B3=D9=84=D8=A7=D9=85 and some text that goes on.\r\n", 12))
	b.WriteString("--=_inner\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + strings.Repeat("<p>some <b>text</b> that goes on</p>\r\n", 12) + "--=_inner--\r\n\r\n--=_outer\r\n")
	b.WriteString("Content-Type: application/pdf; name=\"report.pdf\"\r\nContent-Disposition: attachment; filename=\"report.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	line := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0x5a, 0xc3, 0x7e}, 19)) + "\r\n"
	if n := (size - b.Len()) / len(line); n > 0 {
		b.WriteString(strings.Repeat(line, n))
	}
	b.WriteString("--=_outer--\r\n")
	return []byte(b.String())
}

func benchBuild(b *testing.B, msg []byte) {
	b.SetBytes(int64(len(msg)))
	b.ReportAllocs()
	r := bytes.NewReader(msg)
	for b.Loop() {
		if _, err := Build(r, int64(len(msg))); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBuild4K(b *testing.B)  { benchBuild(b, benchMessage(4<<10)) }
func BenchmarkBuild64K(b *testing.B) { benchBuild(b, benchMessage(64<<10)) }
func BenchmarkBuild20M(b *testing.B) { benchBuild(b, benchMessage(20<<20)) }

func BenchmarkBuildPlain4K(b *testing.B) {
	benchBuild(b, []byte(benchHeader+"\r\n"+strings.Repeat("A line of plain text, nothing else in it.\r\n", 70)))
}

// BenchmarkBuildDashes is a body in which every line looks like a boundary, with many boundaries to compare.
func BenchmarkBuildDashes(b *testing.B) {
	benchBuild(b, []byte(nested(100)+strings.Repeat("--n\r\n", 1<<20)))
}

func BenchmarkFetch(b *testing.B) {
	msg := benchMessage(4 << 10)
	c, err := Build(bytes.NewReader(msg), int64(len(msg)))
	if err != nil {
		b.Fatal(err)
	}
	var dst []byte
	b.Run("envelope", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			e, err := DecodeEnvelope(c.Envelope)
			if err != nil {
				b.Fatal(err)
			}
			dst = e.AppendIMAP(dst[:0])
		}
	})
	b.Run("bodystructure", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p, err := DecodeStructure(c.Structure)
			if err != nil {
				b.Fatal(err)
			}
			dst = p.AppendBodyStructure(dst[:0], true)
		}
	})
}

func BenchmarkOneMailbox(b *testing.B) {
	h := header(b, benchHeader+"\r\n")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := OneMailbox(h, "From", false); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBase64(b *testing.B) {
	msg := benchMessage(1 << 20)
	b.SetBytes(int64(len(msg)))
	dst := make([]byte, 0, len(msg))
	for b.Loop() {
		dst = appendDecoded(dst[:0], msg, "base64")
	}
}
