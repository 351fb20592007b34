import Glibc
import PumiceModel

/// Failures of libnfs as errors of ours.
enum LibnfsError {
  /// A call that was answered with no.
  ///
  /// - Parameter number: A negative errno (errno(3)), by which libnfs also says what it found out itself.
  /// - Parameter message: The last thing that libnfs has said. For an RPC that came to nothing it may be about an earlier call:
  ///   nobody shall take a file for missing because of that. Only reading and writing give EFAULT for a status of the
  ///   server's as well, and in words of their own.
  static func answer(_ attempt: String, _ number: Int32, message: String) -> StorageError {
    let cameToNothing = [EFAULT, EINTR, ENOMEM].contains(-number)
    // Found out by libnfs, which has no words for it, so that the last ones are about an earlier call.
    let isWordless = cameToNothing || -number == ELOOP
    let isTransfer = message.hasPrefix("NFS: Read failed") || message.hasPrefix("NFS: Write failed")
    let status = NFSStatus(message: message)
    if let status, !isWordless || isTransfer {
      return StorageError(status.storageCode, "\(attempt) failed: \(status.sentence).", cause: status)
    }
    let code: StorageError.Code =
      switch -number {
      case ENOENT: .notFound
      case EACCES, EPERM, EROFS: .forbidden
      case EEXIST, ENOTDIR, EISDIR, ENOTEMPTY, EXDEV: .conflict
      case ELOOP: .forbidden
      case ENOSPC, EDQUOT, EFBIG: .noSpace
      case EINVAL, ENAMETOOLONG: .invalid
      case EOPNOTSUPP, ENOSYS: .unsupported
      case _ where cameToNothing: .unavailable
      case EAGAIN, ETIMEDOUT, ECONNREFUSED, ECONNRESET, EHOSTUNREACH, ENETUNREACH: .unavailable
      default: .failed
      }
    let reason =
      switch -number {
      case ELOOP: "it is a symbolic link"
      case _ where cameToNothing && (message.isEmpty || status != nil): "the request came to nothing"
      case _ where message.isEmpty: String(cString: strerror(-number))
      default: message
      }
    return StorageError(code, "\(attempt) failed: \(reason).")
  }

  /// A call whose session ended before the answer: whether the server has done it is not known.
  static func lost(_ attempt: String, _ loss: String) -> StorageError {
    StorageError(.unavailable, "\(attempt) failed: \(loss).")
  }

  /// A call that libnfs did not take. What it says about that may be about another call.
  static func notSent(_ attempt: String) -> StorageError {
    StorageError(.unavailable, "\(attempt) failed: libnfs could not send the request.")
  }

  static func late(_ attempt: String, _ deadline: Duration) -> StorageError {
    StorageError(.timeout, "\(attempt) failed: no answer within \(deadline).")
  }
}
