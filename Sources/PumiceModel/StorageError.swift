/// Why something was not done: a closed code for programs, a sentence for people, and the error underneath.
///
/// Ports throw it, the wire carries code and message, and every façade maps the code in one exhaustive switch.
public struct StorageError: Error, Sendable, CustomStringConvertible {
  public enum Code: String, Sendable, Codable, CaseIterable {
    /// What was asked for makes no sense; `field` names the part. Never helped by a repeat.
    case invalid
    /// No valid credential came with the request.
    case unauthenticated
    /// The caller is known and may not do this.
    case forbidden
    case notFound
    /// The thing is in a state that does not allow this now.
    case conflict
    /// Something still uses the thing.
    case inUse
    /// The caller's revision is older than one already seen.
    case stale
    /// A quota of the project says no.
    case overQuota
    /// The storage has no room for it.
    case noSpace
    /// This node or driver can't do this at all.
    case unsupported
    /// A program, library, permission or kernel part is missing on the node.
    case missingPart
    /// The device that answered is not the volume that was asked for.
    case wrongDevice
    /// The node does as much of this kind as it can: it has not begun, and a repeat comes to its turn.
    case busy
    /// A foreign tool or service is away, busy or slow; a repeat may help.
    case unavailable
    /// It was not done in its time; whether it will be is not known.
    case timeout
    /// A foreign tool failed in a way we have no better word for.
    case failed
  }

  public let code: Code
  /// What was tried, on what, and why it failed: one or more whole sentences, fit for the user who asked.
  public let message: String
  /// With `invalid`: the field of the request that is wrong.
  public let field: String?
  public let cause: (any Error)?

  public init(_ code: Code, _ message: String, field: String? = nil, cause: (any Error)? = nil) {
    self.code = code
    self.message = message
    self.field = field
    self.cause = cause
  }

  /// An error about one field of a request. The message starts with the field's name.
  public static func invalid(_ field: String, _ problem: String) -> Self {
    Self(.invalid, "\(field) \(problem)", field: field)
  }

  /// Whether the same call may succeed later without anybody changing the request.
  public var isTransient: Bool {
    switch code {
    case .busy, .unavailable, .timeout, .failed, .inUse, .conflict: true
    case .invalid, .unauthenticated, .forbidden, .notFound, .stale, .overQuota, .noSpace, .unsupported, .missingPart,
      .wrongDevice:
      false
    }
  }

  public var description: String {
    cause.map { "\(message) (\($0))" } ?? message
  }

  /// Brings any error into this form. A `StorageError` stays as it is; cancellation is `unavailable`.
  public static func wrap(_ error: any Error, _ attempt: @autoclosure () -> String) -> Self {
    if let error = error as? Self { return error }
    if error is CancellationError { return Self(.unavailable, "\(attempt()) was cancelled.", cause: error) }
    return Self(.failed, "\(attempt()) failed: \(error)", cause: error)
  }
}
