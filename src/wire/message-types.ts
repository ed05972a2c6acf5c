/** First bytes of messages a frontend sends (PostgreSQL docs, "Message Formats"). */
export const FRONTEND = {
  Bind: 0x42, // B
  Close: 0x43, // C
  CopyData: 0x64, // d
  CopyDone: 0x63, // c
  CopyFail: 0x66, // f
  Describe: 0x44, // D
  Execute: 0x45, // E
  Flush: 0x48, // H
  FunctionCall: 0x46, // F
  Parse: 0x50, // P
  Password: 0x70, // p: PasswordMessage, SASLInitialResponse, SASLResponse, GSSResponse
  Query: 0x51, // Q
  Sync: 0x53, // S
  Terminate: 0x58, // X
} as const;

/** First bytes of messages a backend sends. */
export const BACKEND = {
  Authentication: 0x52, // R
  BackendKeyData: 0x4b, // K
  BindComplete: 0x32, // 2
  CloseComplete: 0x33, // 3
  CommandComplete: 0x43, // C
  CopyBothResponse: 0x57, // W
  CopyData: 0x64, // d
  CopyDone: 0x63, // c
  CopyInResponse: 0x47, // G
  CopyOutResponse: 0x48, // H
  DataRow: 0x44, // D
  EmptyQueryResponse: 0x49, // I
  ErrorResponse: 0x45, // E
  FunctionCallResponse: 0x56, // V
  NegotiateProtocolVersion: 0x76, // v
  NoData: 0x6e, // n
  NoticeResponse: 0x4e, // N
  NotificationResponse: 0x41, // A
  ParameterDescription: 0x74, // t
  ParameterStatus: 0x53, // S
  ParseComplete: 0x31, // 1
  PortalSuspended: 0x73, // s
  ReadyForQuery: 0x5a, // Z
  RowDescription: 0x54, // T
} as const;

/** Byte1 type and Int32 length, which counts itself but not the type. */
export const HEADER_BYTES = 5;

/** What the server allows for start-up packets and for messages that hold no data (libpq.h, PQ_SMALL_MESSAGE_LIMIT). */
export const SMALL_MESSAGE_BYTES = 10_000;

/** The server's own ceiling for one message (libpq.h, PQ_LARGE_MESSAGE_LIMIT). */
export const LARGEST_MESSAGE_BYTES = 0x3ffffffe;

/** `I` idle, `T` in a transaction block, `E` in a failed one. */
export type TransactionStatus = "I" | "T" | "E";
