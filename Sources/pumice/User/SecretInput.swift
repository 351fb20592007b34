import ArgumentParser
import Foundation
import Glibc
import PumiceIdentity
import PumiceModel

/// Where a password comes from: never an argument, which every process of the machine could read.
struct SecretInput: ParsableArguments {
  /// What is shorter can be guessed.
  static let leastLength = 8

  @Option(
    help: ArgumentHelp("The file with the password in its first line; standard input without it.", valueName: "file"))
  var passwordFile: String?

  func hash() throws -> PasswordHash {
    let password = try read()
    guard password.utf8.count >= Self.leastLength else {
      throw CommandFailure(.usage, "The password must have at least \(Self.leastLength) characters.")
    }
    do throws(StorageError) { return try PasswordHash(of: password) } catch { throw CommandFailure(error) }
  }

  private func read() throws -> String {
    guard let passwordFile else { return try isatty(STDIN_FILENO) == 1 ? ask() : readLine() ?? "" }
    do {
      let text = try String(contentsOfFile: passwordFile, encoding: .utf8)
      return String(text.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)[0])
    } catch {
      throw CommandFailure(.usage, "The password file \(passwordFile) can't be read: \(error.localizedDescription)")
    }
  }

  private func ask() throws -> String {
    guard let once = getpass("Password: ").map({ String(cString: $0) }),
      let again = getpass("Once more: ").map({ String(cString: $0) }), once == again
    else { throw CommandFailure(.usage, "The two passwords differ.") }
    return once
  }
}
