import Logging
import PumiceIdentity
import PumiceModel
import PumiceWire
import Synchronization

/// The users as their file has them now: it is read anew when it has changed, so that `pumice user` needs no restart.
final class UserDirectory: Sendable {
  private struct State {
    var mark: FileMark?
    var file: UserFile
  }

  private let path: String
  private let logger: Logger
  private let state: Mutex<State>

  /// - Throws: as `UserFile.read`. Without a file there are no users yet, which is no error.
  init(path: String, logger: Logger) throws(StorageError) {
    self.path = path
    self.logger = logger
    let mark = FileMark(of: path)
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
      let mark = FileMark(of: path)
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
}
