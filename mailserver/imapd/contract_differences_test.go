package imapd_test

// Why an answer is not Dovecot's. Each of these is a choice the RFCs leave, or what they ask for
// where Dovecot does not; docs/specifications.md lists them.
const (
	whyID         = "OBJECTID (RFC 8474) tells the id of a new folder"
	whyTree       = "the folders above a new one are made too: all of them can be selected"
	whySubscribed = "a new folder is subscribed"
	whyCode       = "a refusal has a code of RFC 5530"
	whyBad        = "names that are no modified UTF-7, part 0 and numbers over EXISTS break the grammar"
	whyStatus     = "STATUS of the selected folder is no fault of the client"
	whyDate       = "a day under 10 is written with a space: both forms stand in the grammar"
	whyNIL        = "a part that is not there is NIL, not empty"
	whyBinary     = "a literal without NUL is an ordinary one (RFC 3516, section 4.2 allows both)"
	whySent       = "a message without a Date was sent on no day; Dovecot counts it as sent in 1970"
	whyStore      = "STORE without SILENT answers with the flags, changed or not"
	whySeen       = "a flag that FETCH set is told behind the items, with what others changed meanwhile"
	whyReadOnly   = "a change of a folder that was opened by EXAMINE is refused, not ignored"
	whyOrder      = "items come in an order of our own, changed messages in that of their changes"
	whySelect     = "a SELECT that breaks the grammar leaves the selected folder as it is"
	whyEnable     = "ENABLED is told also when nothing was (RFC 5161, section 3.2)"
	whyGone       = "a name with nothing but folders below it is also told to be \\NonExistent (RFC 5258)"
)

// differences are the answers of ours that are not Dovecot's, by command; " #2" is the second
// time that it stands in the contract.
var differences = map[string]struct{ ours, why string }{
	`CREATE work`:        {`OK MAILBOXID`, whyID},
	`CREATE above/below`: {`OK MAILBOXID`, whyID},
	`LIST "" above*`: {`* LIST () "/" above
* LIST () "/" above/below
OK`, whyTree},
	`LIST "" above* #2`: {`* LIST () "/" above
OK`, whyTree},
	`CREATE work/deep`:    {`OK MAILBOXID`, whyID},
	`CREATE work/deep/er`: {`OK MAILBOXID`, whyID},
	`CREATE work&`:        {`BAD`, whyBad},
	`LIST (SUBSCRIBED) "" work*`: {`* LIST (\Subscribed) "/" work
* LIST (\Subscribed) "/" work/deep
* LIST (\Subscribed) "/" work/deep/er
OK`, whySubscribed},
	`RENAME job job/under`:      {`NO CANNOT`, whyCode},
	`DELETE INBOX`:              {`NO CANNOT`, whyCode},
	`SELECT nothing`:            {`NO NONEXISTENT`, whyCode},
	`STATUS nothing (MESSAGES)`: {`NO NONEXISTENT`, whyCode},
	`STATUS INBOX (MESSAGES UNSEEN SIZE)`: {`* STATUS INBOX (MESSAGES 3 UNSEEN 2 SIZE 657)
OK`, whyStatus},
	`FETCH 1 INTERNALDATE`: {`* 1 FETCH (INTERNALDATE " 1-Feb-2006 15:04:05 +0000")
OK`, whyDate},
	`FETCH 1 FAST`: {`* 1 FETCH (FLAGS (\Seen) INTERNALDATE " 1-Feb-2006 15:04:05 +0000" RFC822.SIZE 157)
OK`, whyDate},
	`FETCH 1 BODY.PEEK[2]`: {`* 1 FETCH (BODY[2] NIL)
OK`, whyNIL},
	`FETCH 2 BODY.PEEK[3]`: {`* 2 FETCH (BODY[3] NIL)
OK`, whyNIL},
	`FETCH 2 BODY.PEEK[1.HEADER]`: {`* 2 FETCH (BODY[1.HEADER] NIL)
OK`, whyNIL},
	`FETCH 2 BODY.PEEK[0]`: {`BAD`, whyBad},
	`FETCH 2 BINARY.PEEK[1]`: {`* 2 FETCH (BINARY[1] {13}
متن الم)
OK`, whyBinary},
	`FETCH 2 BINARY.PEEK[1]<2.5>`: {`* 2 FETCH (BINARY[1]<2> {5}
تن )
OK`, whyBinary},
	`SEARCH SENTBEFORE 2-Jan-2006`: {`* SEARCH
OK`, whySent},
	`SEARCH 99`: {`BAD`, whyBad},
	`STORE 1 +FLAGS \Seen`: {`* 1 FETCH (FLAGS (\Seen))
OK`, whyStore},
	`STORE 1 +FLAGS ()`: {`* 1 FETCH (FLAGS (\Seen))
OK`, whyStore},
	`FETCH 3 BODY[TEXT]`: {`* 3 FETCH (BODY[TEXT] {23}
Hello Sara,
سلام
)
* 3 FETCH (FLAGS (\Seen))
OK`, whySeen},
	`STORE 1 +FLAGS (\Seen)`: {`NO READ-ONLY`, whyReadOnly},
	`EXPUNGE #2`:             {`NO READ-ONLY`, whyReadOnly},
	`UID EXPUNGE 1`:          {`NO READ-ONLY`, whyReadOnly},
	`FETCH 1:* (FLAGS) (CHANGEDSINCE 1)`: {`* 1 FETCH (MODSEQ (N) FLAGS (\Seen))
* 2 FETCH (MODSEQ (N) FLAGS (\Seen))
OK`, whyOrder},
	`CLOSE #2`: {`OK`, whySelect},
	`ENABLE FOO`: {`* ENABLED
OK`, whyEnable},
	`UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)`: {`* 2 FETCH (UID 2 MODSEQ (N) FLAGS (\Seen))
* 1 FETCH (UID 1 MODSEQ (N) FLAGS (\Answered \Flagged \Deleted \Seen))
OK`, whyOrder},
	`LIST "" job`: {`* LIST (\NonExistent \Noselect) "/" job
OK`, whyGone},
}
