import PumiceModel

/// Open-iscsi's daemon, through iscsiadm(8): to log in and to log out. Everything else is read from sysfs.
struct ISCSIAdmin: Sendable {
  let executable: String
  /// Longer than open-iscsi tries by itself, as node records say.
  private let commands = CommandRunner(deadline: .seconds(60))

  init(executable: String = "iscsiadm") { self.executable = executable }

  /// Logs in by way of every record of this target and portal that has no session yet; which one has now, sysfs shows.
  ///
  /// Throws what kept `interface` from logging in, in the words of `ISCSIAdminStatus`.
  func logIn(to target: String, at portal: ISCSIPortal, as interface: String) async throws(StorageError) {
    let outcome = try await run(["-m", "node", "-T", target, "-p", portal.description, "--login"])
    let status = ISCSIAdminStatus(outcome, about: interface)
    if status.isLoggedIn { return }
    throw status.error("Logging in to \(target) at \(portal)", outcome)
  }

  /// Ends one session. Content when it has ended already.
  func logOut(session number: Int) async throws(StorageError) {
    let outcome = try await run(["-m", "session", "-r", String(number), "--logout"])
    let status = ISCSIAdminStatus(outcome, about: nil)
    if status.isLoggedOut { return }
    throw status.error("Logging out of session \(number)", outcome)
  }

  private func run(_ arguments: [String]) async throws(StorageError) -> CommandRunner.Outcome {
    do throws(StorageError) {
      return try await commands.run(executable, arguments)
    } catch {
      guard error.code == .missingPart else { throw error }
      throw StorageError(.missingPart, "\(executable) is not installed; it comes with open-iscsi.", cause: error)
    }
  }
}
