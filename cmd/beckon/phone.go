package main

type phoneCmd struct{}

func (*phoneCmd) Run() error { return nil }

type doctorCmd struct{}

func (*doctorCmd) Run() error { return nil }
