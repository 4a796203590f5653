package protocol

// Version is the version of the protocol and of the program.
const Version = "0.4.0"
