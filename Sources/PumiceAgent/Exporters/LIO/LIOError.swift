import Glibc
import PumiceModel

/// What the kernel's errors mean when LIO is read or changed. See mkdir(2), rmdir(2), symlink(2), write(2), and
/// drivers/target in the kernel, which gives most of its own refusals as EINVAL and the reason only in its log.
enum LIOError {
  static func reading(_ attempt: String, _ number: Int32) -> StorageError {
    StorageError(
      number == EACCES || number == EPERM ? .forbidden : .failed, "\(attempt) failed: \(sentence(number)).")
  }

  static func changing(_ operation: ConfigfsOperation, _ number: Int32) -> StorageError {
    let hint = hint(operation, number)
    return StorageError(
      hint?.code ?? code(number),
      "Changing the LIO target failed at \(operation): \(hint?.sentence ?? sentence(number)).")
  }

  /// Whether a value that was not taken is one that this kernel, or the disk behind it, does not have.
  static func isUnknownValue(_ number: Int32) -> Bool { [ENOENT, ENOSYS, EOPNOTSUPP].contains(number) }

  private static func hint(
    _ operation: ConfigfsOperation, _ number: Int32
  ) -> (code: StorageError.Code, sentence: String)? {
    let parts = operation.path.split(separator: "/")
    switch operation {
    case .make where parts.first == "core" && parts.count == 2 && number == EINVAL:
      return (.missingPart, "the kernel has no backstore of this kind (module target_core_iblock or target_core_file)")
    case .make where parts.dropLast().last == "np":
      // iscsi_target_mod gives EINVAL for whatever socket(2) and bind(2) said.
      return (
        .unavailable,
        "\(sentence(number)); either somebody else listens there, as tgtd may, or the kernel has no addresses of this kind"
      )
    case .make where number == EEXIST: return (.conflict, "somebody else has just made it")
    case .write(_, let path, _) where path.hasPrefix("core/") && path.hasSuffix("/enable") && number == EBUSY:
      return (.inUse, "the block device is in use by something else, such as a mount or another target")
    default: return nil
    }
  }

  private static func code(_ number: Int32) -> StorageError.Code {
    switch number {
    case EACCES, EPERM, EROFS: .forbidden
    case EBUSY, ENOTEMPTY: .inUse
    case ENOMEM, ENOSPC, EINTR, EAGAIN, ENOENT: .unavailable
    case ENOSYS, EOPNOTSUPP: .unsupported
    default: .failed
    }
  }

  private static func sentence(_ number: Int32) -> String { String(cString: strerror(number)) }
}
