import CLibnfs
import PumiceModel

/// A number for an open file, under which the session's thread keeps what libnfs knows of it.
struct LibnfsFileNumber: Hashable, Sendable {
  let rawValue: UInt64
}

/// One call of libnfs: how it begins, and what is done with its end. Both happen on the session's thread.
struct LibnfsCall: Sendable {
  /// What is tried, on what: the beginning of an error's sentence.
  var attempt: String
  var deadline: Duration
  /// The open file that it works on.
  var file: LibnfsFileNumber?
  /// Whether the file is of no use to libnfs afterwards, so that nothing else may be under way on it.
  var closesFile = false
  /// Whether it asks for nothing but the share's root: when the server does not know that, it knows nothing of the session's.
  var isOnRoot = false
  /// Bytes that libnfs may read until the call is over.
  var payload: [UInt8] = []
  /// Hands it to libnfs's context. Returns what libnfs returns: zero when an answer will come.
  var begin: @Sendable (OpaquePointer, LibnfsCallback) -> Int32
  /// Called once, in time.
  var finish: @Sendable (Result<LibnfsAnswer, StorageError>) -> Void
  /// What to do with an answer for which nobody waits any more.
  var discard: (@Sendable (LibnfsAnswer) -> Void)?

  func fail(_ error: StorageError) { finish(.failure(error)) }
}

/// What a call hands to libnfs for its answer.
struct LibnfsCallback {
  let function: nfs_cb
  let argument: UnsafeMutableRawPointer
  /// The file that the call is about.
  let file: OpaquePointer?
  /// The payload, where it stays until the call is over.
  let payload: UnsafeMutableBufferPointer<UInt8>
}

/// An answer that says yes; its bytes are there only until `finish` returns.
struct LibnfsAnswer {
  let context: LibnfsContext
  /// How many bytes were read or written.
  let count: Int
  let data: UnsafeMutableRawPointer?
}
