// Package upload has the files that a client uploads: see Client.UploadFile.
package upload

import "io"

// File is a file to upload.
type File struct {
	// Kind is image, sound, video or file.
	Kind string
	// Name is the shown name, at most 255 bytes. Default: none.
	Name string
	// MediaType is used if the media type cannot be detected from the content. Default: application/octet-stream.
	MediaType string
	Body      io.Reader
	// OnProgress is called with the number of bytes sent so far, from another goroutine, and not after the return.
	// Default: none.
	OnProgress func(sent int64)
}
