import ArgumentParser

@main struct Main {
  static func main() async {
    let status = await Pumice.execute(nil)
    if status != .ok { Pumice.exit(withError: ExitCode(status.rawValue)) }
  }
}

extension Pumice {
  /// Runs one command line to its end, with the errors told on the way.
  ///
  /// - Parameter arguments: those after the program's name; `nil` takes the process's own.
  static func execute(_ arguments: [String]?) async -> ExitStatus {
    do {
      var command = try await asyncParseAsRoot(arguments)
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
      return .ok
    } catch {
      return report(error)
    }
  }

  private static func report(_ error: any Error) -> ExitStatus {
    if let failure = error as? CommandFailure {
      Console.current.complain(failure.line)
      return failure.status
    }
    if let status = (error as? ExitCode).flatMap({ ExitStatus(rawValue: $0.rawValue) }) { return status }
    let text = fullMessage(for: error)
    guard exitCode(for: error).isSuccess else {
      Console.current.complain(text)
      return exitCode(for: error) == .validationFailure ? .usage : .failed
    }
    Console.current.write(text)
    return .ok
  }
}
