/** Ports of one start; those of the proxy and the admin server are the ones that were asked for, or 0. */
export interface Ports {
  readonly upstream: number;
  readonly proxy: number;
  readonly admin: number;
}

/** The demo's configuration: a file as somebody would write it, with the ports of this start. */
export function configuration({ upstream, proxy, admin }: Ports): string {
  return `# Written anew at every start of the demo, as its PostgreSQL gets another port each time.
listen:
  port: ${proxy}
  tls: { mode: "off" } # nobody but this machine reaches it

admin:
  port: ${admin}
  operators: [lead]

upstreams:
  main:
    host: 127.0.0.1
    port: ${upstream}
    user: twokey
    password: { file: secrets/twokey.password } # known to Twokey alone
    tls: { mode: disable }

databases:
  shop: { upstream: main, environment: production }
  shop_dev: { upstream: main, environment: development }
  postgres: { upstream: main, environment: production }

environments:
  production: {}
  development: {}

roles: [senior, lead]

people:
  alice: { roles: [senior], verifier_file: people/alice.verifier }
  bob: { roles: [lead], verifier_file: people/bob.verifier }

approvals:
  allowed_signers: allowed_signers

rules:
  - name: server-files-and-programs
    effects: { any: [file_access, program_execution] }
    action: block
    message: a statement has no business with the server's files and programs

  - name: two-people-for-what-is-lost-for-good
    environments: [production]
    destructive: true
    action: require_approval
    approval: { approvers: [lead] }

  - name: two-people-for-what-nobody-can-foresee
    environments: [production]
    effects: { any: [opaque, privilege, admin, replication] }
    action: require_approval
    approval: { approvers: [lead] }

  - name: everyday-work
    environments: [production]
    effects:
      only: [read, write, delete, ddl, destructive_ddl, session, transaction, copy_in, copy_out]
    action: allow

  - name: development-is-free
    environments: [development]
    action: allow

log:
  level: error
`;
}
