#!/usr/bin/python3
# Makes the chains of arc_test.go with Debian's python3-dkim and python3-authres, another
# implementation of RFC 8617: arc1.eml of one hop, arc3.eml of three, the second of which
# changes the message, and arc.keys, the records of all keys. Run it in this folder.
import subprocess, base64, dkim

records = {}

def rsa_key(domain):
    pem = subprocess.run(["openssl", "genrsa", "-traditional", "2048"], check=True, capture_output=True).stdout
    der = subprocess.run(["openssl", "rsa", "-pubout", "-outform", "DER"], input=pem, check=True, capture_output=True).stdout
    records["arc._domainkey." + domain] = "v=DKIM1; k=rsa; p=" + base64.b64encode(der).decode()
    return pem

def seal(message, domain, results):
    field = "Authentication-Results: %s; %s\r\n" % (domain, results)
    message = field.encode() + message
    parts = dkim.arc_sign(message, b"arc", domain.encode(), rsa_key(domain), domain.encode(),
        include_headers=[b"from", b"to", b"subject", b"date"])
    return b"".join(parts) + message

text = (b"From: Sara <sara@example.com>\r\nTo: list@lists.example.org\r\nSubject:  a   test \r\n\tof folds\r\n"
    b"Date: Fri, 11 Jul 2003 21:00:37 -0700\r\n\r\nSalam.  \r\n\r\nSara \t x\r\n\r\n\r\n")
signed = dkim.sign(text, b"arc", b"example.com", rsa_key("example.com")) + text
one = seal(signed, "relay.example.net", "dkim=pass header.d=example.com; spf=pass smtp.mailfrom=example.com")
open("arc1.eml", "wb").write(one)
changed = one.replace(b"Subject:  a", b"Subject: [list] a") + b"-- \r\nfooter of the list\r\n"
two = seal(changed, "lists.example.org", "arc=pass; dkim=fail header.d=example.com")
three = seal(two, "mx.example.edu", "arc=pass; spf=pass smtp.mailfrom=lists.example.org")
open("arc3.eml", "wb").write(three)
with open("arc.keys", "w") as f:
    for name, text in records.items():
        f.write(name + " " + text + "\n")
