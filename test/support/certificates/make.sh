#!/bin/sh
# Makes the certificates that tests use, valid for a hundred years. Not run by the tests: its results are committed,
# so that tests need no openssl. The keys protect nothing.
set -eu
cd "$(dirname "$0")"
days=36500

authority() { # name, common name
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 -days $days \
    -subj "/CN=$2" -addext keyUsage=critical,keyCertSign,cRLSign -keyout "$1.key" -out "$1.crt"
}

signed() { # name, authority, common name, subject alternative names, extended key usage
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$3" -keyout "$1.key" -out "$1.csr"
  printf 'basicConstraints=CA:FALSE\nsubjectAltName=%s\nextendedKeyUsage=%s\n' "$4" "$5" > "$1.ext"
  openssl x509 -req -in "$1.csr" -CA "$2.crt" -CAkey "$2.key" -sha256 -days $days -extfile "$1.ext" -out "$1.crt"
  rm "$1.csr" "$1.ext"
}

self_signed() { # name, what openssl req takes
  name=$1
  shift
  openssl req -x509 -nodes -days $days -subj "/CN=$name" -keyout discarded.key -out "$name.crt" "$@"
  rm discarded.key
}

authority ca "Twokey test CA"
authority rogue-ca "Twokey test CA"
signed server ca localhost DNS:localhost,IP:127.0.0.1 serverAuth
signed other-name ca db.example DNS:db.example serverAuth
signed alice ca alice email:alice@example.com clientAuth
signed rogue-alice rogue-ca alice email:alice@example.com clientAuth
rm ca.key rogue-ca.key ca.srl rogue-ca.srl 2>/dev/null || true

# Subjects that try to be read as somebody else.
odd_subject() { # name; the configuration's middle comes on stdin
  { printf 'prompt=no\ndistinguished_name=dn\nx509_extensions=ext\n'; cat; } > "$1.cnf"
  openssl req -x509 -nodes -days $days -newkey ec -pkeyopt ec_paramgen_curve:P-256 \
    -config "$1.cnf" -keyout discarded.key -out "$1.crt"
  rm "$1.cnf" discarded.key
}
odd_subject two-names << 'END'
[dn]
0.CN=alice
1.CN=bob
[ext]
basicConstraints=CA:FALSE
END
odd_subject tricky << 'END'
[dn]
CN=x\nCN=bob
[ext]
subjectAltName=@names
[names]
email=x\, email:bob@example.com\, y@example.com
END

# One for each hash function that a signature can bring to tls-server-end-point.
self_signed rsa-sha1 -newkey rsa:2048 -sha1
self_signed rsa-sha512 -newkey rsa:2048 -sha512
self_signed pss-sha384 -newkey rsa:2048 -sha384 -sigopt rsa_padding_mode:pss
self_signed ecdsa-sha384 -newkey ec -pkeyopt ec_paramgen_curve:P-384 -sha384
self_signed ed25519 -newkey ed25519
