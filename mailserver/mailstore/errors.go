package mailstore

import (
	"github.com/postchi/postchi/models"
)

func errFull(mailbox models.ID) *models.Error {
	return models.Errorf(models.Full, "mailbox.full", "The mailbox is full.").With("mailbox", mailbox)
}

func errMailbox(mailbox models.ID) *models.Error {
	return models.Errorf(models.NotFound, "mailbox.gone", "There is no such mailbox.").With("mailbox", mailbox)
}

func errFolder() *models.Error {
	return models.Errorf(models.NotFound, "folder.unknown", "There is no such folder.")
}

func errClosed() *models.Error {
	return models.Errorf(models.Unavailable, "store.closing", "The server is stopping.")
}
