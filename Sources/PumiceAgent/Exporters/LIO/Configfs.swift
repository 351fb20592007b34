package import PumiceModel

/// The kernel's LIO target, as a file system: folders are its objects, files their values, links their bonds
/// (Documentation/filesystems/configfs.rst in the kernel). Every path is below `/sys/kernel/config/target`.
///
/// Every call blocks, and one may do so for as long as a disk does not answer: see `LIOExporter`.
package protocol Configfs: Sendable {
  /// What is in a folder; `nil` without such a folder.
  func list(_ folder: String) throws(StorageError) -> ConfigfsListing?

  /// A value without the line's end; `nil` without such a file.
  func value(_ file: String) throws(StorageError) -> String?

  /// Does one step. What shall go and is gone already counts as done.
  func perform(_ operation: ConfigfsOperation) throws(StorageError)
}

package struct ConfigfsListing: Equatable, Sendable {
  /// Folders that were made, and those that come with the listed one.
  package var folders: [String] = []
  /// Where each link leads, as a path below the root.
  package var links: [String: String] = [:]
}

/// One system call that changes LIO.
package enum ConfigfsOperation: Equatable, Sendable {
  /// mkdir(2): makes an object, with all its values at their defaults. A shared one may be there already.
  case make(String, isShared: Bool = false)
  /// rmdir(2): ends an object. It must not have folders that were made, and no link may lead to it.
  case remove(String)
  /// write(2), all of it at once and without a line's end, which LIO would take as a part of a secret. An optional value
  /// may be one that this kernel does not know.
  case write(String, to: String, isOptional: Bool = false)
  /// symlink(2).
  case link(String, to: String)
  /// unlink(2).
  case unlink(String)
}

extension ConfigfsOperation: CustomStringConvertible {
  /// Without values: some are secrets.
  package var description: String {
    switch self {
    case .make(let path, _): "making \(path)"
    case .remove(let path): "removing \(path)"
    case .write(_, let path, _): "writing \(path)"
    case .link(let path, let destination): "linking \(path) to \(destination)"
    case .unlink(let path): "unlinking \(path)"
    }
  }

  var path: String {
    switch self {
    case .make(let path, _), .remove(let path), .write(_, let path, _), .link(let path, _), .unlink(let path): path
    }
  }
}
