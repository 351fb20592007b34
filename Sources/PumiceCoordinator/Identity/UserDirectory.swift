import Foundation
import Logging
import PumiceIdentity
import PumiceModel
import Synchronization

/// The users as their file has them now: it is read anew when it has changed, so that `pumice user` needs no restart.
final class UserDirectory: Sendable {
  /// What another file differs in.
  private struct Mark: Equatable {
    var inode: UInt64?
    var size: UInt64?
    var modified: Date?
  }

  private struct State {
    var mark: Mark
    var file: UserFile
  }

  private let path: String
  private let logger: Logger
  private let state: Mutex<State>

  /// - Throws: as `UserFile.read`. Without a file there are no users yet, which is no error.
  init(path: String, logger: Logger) throws(StorageError) {
    self.path = path
    self.logger = logger
    let mark = Self.mark(of: path)
    do throws(StorageError) {
      state = Mutex(State(mark: mark, file: try UserFile.read(path)))
    } catch {
      guard error.code == .missingPart else { throw error }
      state = Mutex(State(mark: mark, file: UserFile()))
    }
  }

  /// A file that can't be read leaves the users as they were, and is logged once.
  var file: UserFile {
    state.withLock { state in
      let mark = Self.mark(of: path)
      if mark != state.mark {
        state.mark = mark
        do throws(StorageError) {
          state.file = try UserFile.read(path)
        } catch {
          logger.error("The users stay as they were", metadata: ["error": "\(error)"])
        }
      }
      return state.file
    }
  }

  private static func mark(of path: String) -> Mark {
    guard let facts = try? FileManager.default.attributesOfItem(atPath: path) else { return Mark() }
    return Mark(
      inode: (facts[.systemFileNumber] as? NSNumber)?.uint64Value, size: (facts[.size] as? NSNumber)?.uint64Value,
      modified: facts[.modificationDate] as? Date)
  }
}
