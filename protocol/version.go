package protocol

// Version of the protocol and of the program.
const Version = "0.1.0"
