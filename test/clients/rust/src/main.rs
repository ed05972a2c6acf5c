//! tokio-postgres, with rustls.
use bytes::Bytes;
use futures_util::{future::join_all, pin_mut, SinkExt, StreamExt, TryStreamExt};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{json, Value};
use sha2::{Digest, Sha256};
use std::{env, fs::File, io::BufReader};
use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, Client, Config, Error, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

const TEXT: &str = "a 'quoted' \\ name 日本 😀";
const WHO: &str = "SELECT current_user::text, current_database()::text, current_setting('application_name'), \
    current_setting('client_encoding'), (SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid())";
const ERRORS: [&str; 5] = [
    "SELEC",
    "SELECT * FROM missing",
    "SELECT 1/0",
    "INSERT INTO items VALUES (1, 'one')",
    "INSERT INTO items VALUES (1000, NULL)",
];

fn var(name: &str) -> String {
    env::var(name).unwrap()
}

fn tls() -> MakeRustlsConnect {
    let mut roots = RootCertStore::empty();
    let mut pem = BufReader::new(File::open(var("PGSSLROOTCERT")).unwrap());
    for certificate in rustls_pemfile::certs(&mut pem) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    MakeRustlsConnect::new(config)
}

async fn connect() -> (Client, mpsc::UnboundedReceiver<AsyncMessage>) {
    let mut config = Config::new();
    config
        .host(var("PGHOST"))
        .port(var("PGPORT").parse().unwrap())
        .user(var("PGUSER"))
        .password(var("PGPASSWORD"))
        .dbname(var("PGDATABASE"))
        .application_name(var("PGAPPNAME"))
        .ssl_mode(tokio_postgres::config::SslMode::Require);
    let (client, mut connection) = config.connect(tls()).await.unwrap();
    let (heard, hears) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut messages = futures_util::stream::poll_fn(move |context| connection.poll_message(context));
        while let Some(Ok(message)) = messages.next().await {
            let _ = heard.send(message);
        }
    });
    (client, hears)
}

fn say(feature: &str, result: Value) {
    println!("{}", json!({ "feature": feature, "result": result }));
}

fn told(error: &Error) -> Value {
    match error.as_db_error() {
        None => json!(error.to_string()),
        Some(answer) => json!([
            answer.code().code(),
            answer.message(),
            answer.detail(),
            answer.hint(),
            answer.constraint(),
            answer.table()
        ]),
    }
}

fn outcome<T>(result: Result<T, Error>) -> Value {
    match result {
        Ok(_) => json!("did not fail"),
        Err(error) => told(&error),
    }
}

async fn simple(client: &Client, sql: &str) -> Value {
    match client.simple_query(sql).await {
        Err(error) => told(&error),
        Ok(messages) => Value::from(
            messages
                .iter()
                .map(|message| match message {
                    SimpleQueryMessage::Row(row) => {
                        Value::from((0..row.len()).map(|i| json!(row.get(i))).collect::<Vec<_>>())
                    }
                    SimpleQueryMessage::CommandComplete(count) => json!(count),
                    _ => json!("description"),
                })
                .collect::<Vec<_>>(),
        ),
    }
}

fn digest(text: &[u8]) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::main]
async fn main() {
    let (client, heard) = connect().await;
    if env::args().nth(1).as_deref() == Some("session") {
        say("version", json!(locked_version()));
        session(client, heard).await;
        return;
    }
    let (sqlstate, message) = match client.execute("DELETE FROM items", &[]).await {
        Ok(_) => (None, None),
        Err(error) => {
            let answer = error.as_db_error().unwrap();
            (Some(answer.code().code().to_string()), Some(answer.message().to_string()))
        }
    };
    let afterwards: i64 = client.query_one("SELECT count(*) FROM items", &[]).await.unwrap().get(0);
    say("refusal", json!({ "sqlstate": sqlstate, "message": message, "afterwards": afterwards }));
}

/// The one that this was built with.
fn locked_version() -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let entry = lock.split("name = \"tokio-postgres\"\nversion = \"").nth(1).unwrap();
    entry.split('"').next().unwrap()
}

async fn session(mut client: Client, mut heard: mpsc::UnboundedReceiver<AsyncMessage>) {
    say("connect", simple(&client, WHO).await);
    let nothing: Option<&str> = None;
    let written = client
        .query("INSERT INTO notes (item, body) VALUES ($1, $2), (2, $3) RETURNING id, body", &[&1i32, &TEXT, &nothing])
        .await
        .unwrap();
    let written: Vec<Value> =
        written.iter().map(|row| json!([row.get::<_, i32>(0), row.get::<_, Option<String>>(1)])).collect();
    let changed = client.execute("UPDATE items SET name = $1 WHERE id < $2", &[&TEXT, &4i32]).await.unwrap();
    say("queries", json!([simple(&client, "SELECT id, name FROM items WHERE id < 3; SELECT 1").await, written, changed]));

    // In binary, what it has Rust types for; as text, all.
    let rows = client
        .query("SELECT id, a_bool, a_smallint, a_bigint, a_real, a_double, a_text, a_bytea, a_jsonb, an_int_array, a_text_array FROM everything ORDER BY id", &[])
        .await
        .unwrap();
    let binary: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!([
                row.get::<_, i32>(0),
                row.get::<_, Option<bool>>(1),
                row.get::<_, Option<i16>>(2),
                row.get::<_, Option<i64>>(3),
                row.get::<_, Option<f32>>(4),
                row.get::<_, Option<f64>>(5),
                row.get::<_, Option<String>>(6),
                row.get::<_, Option<Vec<u8>>>(7),
                row.get::<_, Option<Value>>(8),
                row.get::<_, Option<Vec<Option<i32>>>>(9),
                row.get::<_, Option<Vec<Option<String>>>>(10)
            ])
        })
        .collect();
    say("types", json!([binary, simple(&client, "SELECT * FROM everything ORDER BY id").await]));

    let big = "x".repeat(5_000_000);
    let rows = client.query("SELECT repeat(md5(g::text), 300) FROM generate_series(1, 1000) g", &[]).await.unwrap();
    let all: String = rows.iter().map(|row| row.get::<_, String>(0)).collect();
    let hashed: String = client.query_one("SELECT md5($1)", &[&big]).await.unwrap().get(0);
    say("large", json!([digest(all.as_bytes()), hashed]));

    let mut failures = vec![];
    for sql in ERRORS {
        failures.push(simple(&client, sql).await);
        failures.push(outcome(client.execute(sql, &[]).await));
    }
    say("errors", json!(failures));

    let mut transaction = client.transaction().await.unwrap();
    transaction.execute("INSERT INTO items VALUES (200, 'a')", &[]).await.unwrap();
    let nested = transaction.savepoint("s").await.unwrap();
    let mut steps = vec![
        outcome(nested.execute("INSERT INTO items VALUES (1, 'b')", &[]).await),
        outcome(nested.execute("SELECT 1", &[]).await),
    ];
    nested.rollback().await.unwrap();
    transaction.commit().await.unwrap();
    let transaction = client.transaction().await.unwrap();
    transaction.execute("DELETE FROM items WHERE id = 200", &[]).await.unwrap();
    let portal = transaction.bind("SELECT id FROM items ORDER BY id", &[]).await.unwrap();
    let mut parts = vec![];
    for count in [3, 2, 0] {
        parts.push(transaction.query_portal(&portal, count).await.unwrap().len());
    }
    transaction.rollback().await.unwrap();
    steps.push(simple(&client, "SELECT id FROM items WHERE id >= 200").await);
    say("transactions", json!(steps));
    say("cursor", json!(parts));

    let by_id = client.prepare("SELECT name FROM items WHERE id = $1").await.unwrap();
    let mut prepared = vec![];
    for id in 0..10i32 {
        let rows = client.query(&by_id, &[&id]).await.unwrap();
        prepared.push(rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>());
    }
    say("prepared", json!(prepared));

    let divided = client.prepare("SELECT 10 / $1::int").await.unwrap();
    let many = join_all((0..50i32).map(|i| {
        let (client, divided) = (&client, &divided);
        async move {
            match client.query_one(divided, &[&(i % 10)]).await {
                Ok(row) => json!(row.get::<_, i32>(0)),
                Err(error) => told(&error),
            }
        }
    }))
    .await;
    say("pipeline", json!(many));

    let copied = copy_in(&client, "1000\tone\n1001\ttwo\n").await.unwrap();
    let out: Vec<Bytes> =
        client.copy_out("COPY (SELECT * FROM items ORDER BY id) TO STDOUT").await.unwrap().try_collect().await.unwrap();
    say("copy", json!([copied, digest(&out.concat()), outcome(copy_in(&client, "1\tx\n").await)]));

    let (other, _) = connect().await;
    client.batch_execute("LISTEN \"news of today\"").await.unwrap();
    other.execute("SELECT pg_notify('news of today', $1)", &[&TEXT]).await.unwrap();
    while let Some(message) = heard.recv().await {
        if let AsyncMessage::Notification(notification) = message {
            say("listen", json!([notification.channel(), notification.payload()]));
            break;
        }
    }

    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    let token = client.cancel_token();
    let cancelling = async {
        let asleep = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'";
        while other.query_one(asleep, &[&pid]).await.unwrap().get::<_, i64>(0) != 1 {}
        token.cancel_query(tls()).await.unwrap();
    };
    let (slept, ()) = tokio::join!(client.execute("SELECT pg_sleep(60)", &[]), cancelling);
    say("cancel", json!([outcome(slept), simple(&client, "SELECT 1").await]));
}

async fn copy_in(client: &Client, lines: &'static str) -> Result<u64, Error> {
    let sink = client.copy_in("COPY items (id, name) FROM STDIN").await?;
    pin_mut!(sink);
    sink.send(Bytes::from_static(lines.as_bytes())).await?;
    sink.finish().await
}
