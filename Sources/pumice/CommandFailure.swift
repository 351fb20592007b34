import PumiceModel

/// Why a command did not do what it was asked: one line, what to do about it, and how the program ends.
struct CommandFailure: Error {
  let status: ExitStatus
  let message: String
  let advice: String?

  init(_ status: ExitStatus, _ message: String, advice: String? = nil) {
    self.status = status
    self.message = message
    self.advice = advice
  }

  init(_ error: StorageError, advice: String? = nil) {
    self.init(ExitStatus(error.code), error.message, advice: advice)
  }

  var line: String {
    let text = "pumice: \(message)" + (advice.map { " \($0)" } ?? "")
    return Table.printable(text)
  }
}
