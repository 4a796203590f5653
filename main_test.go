package beckon_test

import (
	"testing"

	"github.com/beckon-im/beckon/beckontest"
)

func TestMain(m *testing.M) { beckontest.VerifyNoLeaks(m) }
