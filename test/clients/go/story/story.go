// Package story has the JSON lines and the texts that both drivers' sessions share.
package story

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"runtime/debug"
	"strings"
)

const (
	Text   = "a 'quoted' \\ name 日本 😀"
	Rows   = "SELECT g, repeat(md5(g::text), 300) AS t FROM generate_series(1, 1000) g"
	Who    = "SELECT current_user::text, current_database()::text, current_setting('application_name'), current_setting('client_encoding'), (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid())"
	Asleep = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'"
)

var (
	Big    = strings.Repeat("x", 5_000_000)
	Errors = []string{"SELEC", "SELECT * FROM missing", "SELECT 1/0", "INSERT INTO items VALUES (1, 'one')", "INSERT INTO items VALUES (1000, NULL)", "INSERT INTO items VALUES (1001, 'x', -1)", "SELECT 'x'::int"}
)

func Say(feature string, result any) {
	line := json.NewEncoder(os.Stdout)
	line.SetEscapeHTML(false)
	Must(line.Encode(map[string]any{"feature": feature, "result": result}))
}

func Digest(value any) string {
	text, err := json.Marshal(value)
	Must(err)
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func Must(err error) {
	if err != nil {
		panic(err)
	}
}

// Version is that of a module in this build.
func Version(module string) string {
	info, _ := debug.ReadBuildInfo()
	for _, dep := range info.Deps {
		if dep.Path == module {
			return strings.TrimPrefix(dep.Version, "v")
		}
	}
	return ""
}

// Refused prints what came of the statement that loses data.
func Refused(sqlstate, message string, afterwards int) {
	result := map[string]any{"sqlstate": nil, "message": nil, "afterwards": afterwards}
	if sqlstate != "" {
		result["sqlstate"], result["message"] = sqlstate, message
	}
	Say("refusal", result)
}
