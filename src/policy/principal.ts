/** Who a session belongs to, once proved: a person or a workload, never a database role. */
export interface Principal {
  readonly kind: "person" | "workload";
  readonly name: string;
  readonly roles: readonly string[];
}
