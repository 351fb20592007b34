import CLibvirt
import PumiceModel

/// What libvirt said about its last failed call on this thread.
struct LibvirtError: Error, Sendable, CustomStringConvertible {
  /// `virErrorNumber`.
  let code: UInt32
  /// `virErrorDomain`: the part of libvirt that failed.
  let domain: UInt32
  let message: String

  /// Reads and clears the error. Must run on the thread of the call that failed, right after it.
  init() {
    if let error = virGetLastError() {
      code = UInt32(bitPattern: error.pointee.code)
      domain = UInt32(bitPattern: error.pointee.domain)
      message = error.pointee.message.map { String(cString: $0) } ?? "no reason given"
    } else {
      (code, domain, message) = (VIR_ERR_OK.rawValue, VIR_FROM_NONE.rawValue, "no reason given")
    }
    virResetLastError()
  }

  init(code: virErrorNumber, domain: virErrorDomain = VIR_FROM_QEMU, message: String) {
    self.code = code.rawValue
    self.domain = domain.rawValue
    self.message = message
  }

  /// The numbers; the message is in the `StorageError` already.
  var description: String { "virErrorNumber \(code), virErrorDomain \(domain)" }

  /// Whether what was looked for is not there.
  var isAbsence: Bool {
    switch virErrorNumber(code) {
    case VIR_ERR_NO_DOMAIN, VIR_ERR_NO_SECRET, VIR_ERR_DEVICE_MISSING: true
    // Where libvirt has no code for it: QEMU's words, and those of `virDomainDetachDeviceAlias`.
    case VIR_ERR_OPERATION_FAILED, VIR_ERR_INTERNAL_ERROR:
      message.contains("not found") || message.contains("no device found")
    // Of a disk that a call names by its target.
    case VIR_ERR_INVALID_ARG: message.contains("not found in domain")
    default: false
    }
  }

  /// Whether the guest has been asked to let go of the device before and has not answered yet. Asking again then is of
  /// no use, and made older QEMUs lose the event (QEMU bug 1878659).
  var isPendingUnplug: Bool {
    message.contains("already in the process of unplug") || message.contains("guest is busy")
  }

  /// Whether a block job is under way that does not go together with this.
  private var isAboutBlockJob: Bool {
    message.contains("already in active block job")
      || message.contains("QEMU command 'block_resize': Device") && message.contains("is in use")
  }

  /// The code for callers. `attempt` begins the message: "Plugging volume … into instance …".
  func storageError(_ attempt: String) -> StorageError {
    StorageError(storageCode, "\(attempt) failed: \(Self.sentence(message))", cause: self)
  }

  private var storageCode: StorageError.Code {
    if isPendingUnplug { return .timeout }
    if isAboutBlockJob { return .inUse }
    switch virErrorDomain(domain) {
    case VIR_FROM_RPC, VIR_FROM_REMOTE: return .unavailable
    default: break
    }
    return switch virErrorNumber(code) {
    case VIR_ERR_NO_DOMAIN, VIR_ERR_NO_SECRET, VIR_ERR_DEVICE_MISSING: .notFound
    case VIR_ERR_NO_CONNECT, VIR_ERR_INVALID_CONN, VIR_ERR_RPC, VIR_ERR_SYSTEM_ERROR, VIR_ERR_NO_MEMORY: .unavailable
    case VIR_ERR_AUTH_FAILED, VIR_ERR_AUTH_CANCELLED, VIR_ERR_AUTH_UNAVAILABLE, VIR_ERR_ACCESS_DENIED,
      VIR_ERR_OPERATION_DENIED:
      .forbidden
    case VIR_ERR_OPERATION_TIMEOUT, VIR_ERR_OPERATION_ABORTED, VIR_ERR_AGENT_UNRESPONSIVE: .timeout
    case VIR_ERR_RESOURCE_BUSY: .inUse
    case VIR_ERR_OPERATION_INVALID: .conflict
    case VIR_ERR_NO_SUPPORT, VIR_ERR_CONFIG_UNSUPPORTED, VIR_ERR_OPERATION_UNSUPPORTED, VIR_ERR_ARGUMENT_UNSUPPORTED:
      .unsupported
    // A second disk with our alias or name got in between reading the XML and changing it.
    default: message.contains("non unique alias") || message.contains("already exists") ? .conflict : .failed
    }
  }

  private static func sentence(_ message: String) -> String {
    let text = message.split(whereSeparator: \.isNewline).joined(separator: " ")
    return text.hasSuffix(".") ? text : text + "."
  }
}
