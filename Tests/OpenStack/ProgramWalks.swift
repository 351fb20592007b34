import Foundation
import PumiceModel
import TestBed
import Testing

extension OpenStackTests {
  /// openstacksdk, gophercloud, cinder-csi's way with volumes and Ansible's openstack.cloud modules, each by a program of its own.
  @Test func programs() async throws {
    try await Bed.with { bed in
      let cloud = try await Cloud(in: bed)
      let (fleet, guest) = (cloud.fleet, cloud.fleet.guest)
      try await fleet.telling {
        try await cloud.start()
        let clients = try await Clients.folder(in: bed)
        var environment = cloud.environment("alice", project: "demo")
        let ada = Walk(bed: bed, client: .openstack, environment: cloud.environment("ada", project: "admin"))
        try await ada.take([.wait("server show \(guest.id)", for: ["status": "ACTIVE"])])
        let walked = try await bed.run(
          ["\(clients)/bin/python", "\(Clients.scripts)/sdk_walk.py", guest.name], environment: environment,
          within: .seconds(240))
        #expect(walked.hasSuffix("walked\n"), "\(walked)")

        let gopher = try await Clients.gopher(in: bed)
        let gone = try await bed.run([gopher, guest.name], environment: environment, within: .seconds(240))
        #expect(gone.hasSuffix("walked\n"), "\(gone)")

        let seen = try bed.folder.folder("seen")
        let waited = try await guest.showingDisks(in: seen) {
          try await bed.run(
            ["\(clients)/bin/python", "\(Clients.scripts)/csi_walk.py", guest.name, seen], environment: environment,
            within: .seconds(240))
        }
        print("As long as cinder-csi waits:\n\(waited)")
        #expect(waited.hasSuffix("walked\n"), "\(waited)")

        environment["ANSIBLE_COLLECTIONS_PATH"] = "\(clients)/collections"
        environment["ANSIBLE_HOME"] = bed.folder.file("ansible")
        environment["ANSIBLE_LOCALHOST_WARNING"] = "false"
        environment["LC_ALL"] = "C.UTF-8"
        let played = try await bed.run(
          [
            "\(clients)/bin/ansible-playbook", "-i", "localhost,", "-e", "guest=\(guest.name)",
            "-e", "ansible_python_interpreter=\(clients)/bin/python", "\(Clients.scripts)/playbook.yml",
          ], environment: environment, within: .seconds(240))
        #expect(played.contains("failed=0") && !played.contains("unreachable=1"), "\(played)")
        try await eventually("nothing is left", within: .seconds(60)) {
          try await bed.run(["ls", fleet.agent.volumes]).isEmpty
        }
      }
    }
  }

  /// What README.md tells people to do, done as it says.
  @Test func theReadmesPageIsTrue() async throws {
    let page = try Readme(section: "Using it with OpenStack tools")
    try await Bed.with { bed in
      let cloud = try await Cloud(in: bed)
      let guest = cloud.fleet.guest
      let reader = try ReadmeReader(page, bed: bed, url: cloud.fleet.coordinator.url)
      try await cloud.fleet.telling {
        try await cloud.start()
        try await eventually("the guest is known", within: .seconds(60)) {
          try await reader.openstack("--os-cloud pumice server list").contains(guest.name)
        }
        let commands = page.blocks.joined().filter { $0.hasPrefix("openstack --os-cloud pumice ") }
        #expect(commands.count >= 2)
        for command in commands {
          _ = try await reader.openstack(
            command.replacing("openstack ", with: "").replacing("my-guest", with: guest.name))
          try await eventually("that is done", within: .seconds(60)) {
            let list = try await reader.openstack("--os-cloud pumice volume list")
            return list.contains(command.contains("create") ? "available" : "in-use")
          }
        }

        // A program, with a credential of its own.
        let line = try #require(page.blocks.joined().first { $0.hasPrefix("pumice user credential add ") })
        let words = line.replacing("/etc/pumice/users.json", with: cloud.users).split(separator: " ").dropFirst()
        let made = try await bed.run([try Binaries.path("pumice")] + words.map(String.init) + ["--json"])
        let credential = try JSONDecoder().decode([String: String].self, from: Data(made.utf8))
        let program = try ReadmeReader(
          page, bed: bed, url: cloud.fleet.coordinator.url,
          credential: (try #require(credential["id"]), try #require(credential["secret"])))
        #expect(try await program.openstack("--os-cloud pumice-ci volume list").contains("in-use"))
      }
    }
  }

  @Test(arguments: ["token", "none"]) func theReadmesOtherCloudIsTrue(authentication: String) async throws {
    try await Bed.with { bed in
      let token = "a-token-of-at-least-16-characters"
      let tokens = try bed.folder.write(
        "- token: \(token)\n  project: demo\n  user: alice\n  roles: [member]\n", to: "tokens.yaml")
      try await bed.run(["chmod", "0600", tokens])
      let coordinator = try CoordinatorDaemon(
        in: bed, authentication: authentication == "none" ? "auth: none" : "auth: token\ntokens_file: \(tokens)")
      let page = try Readme(section: "Using it with OpenStack tools")
      let reader = try ReadmeReader(page, bed: bed, url: coordinator.url, token: token)
      try await coordinator.daemon.start()
      for command in ["volume create --size 1 db", "volume list", "server list"] {
        let said = try await reader.openstack("--os-cloud pumice-token \(command)")
        #expect(command.hasPrefix("server") || said.contains("db"), "\(command): \(said)")
      }
    }
  }
}

extension Guest {
  /// Has the folder hold an empty file for each serial number that the guest sees, while the work lasts.
  fileprivate func showingDisks<Result: Sendable>(
    in folder: String, _ work: () async throws -> Result
  ) async throws -> Result {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        var shown: Set<String> = []
        while true {
          let seen = Set(try await disks().map(\.serial)).subtracting([""])
          for serial in seen.subtracting(shown) { try Data().write(to: URL(filePath: "\(folder)/\(serial)")) }
          for serial in shown.subtracting(seen) { try FileManager.default.removeItem(atPath: "\(folder)/\(serial)") }
          shown = seen
          try await Task.sleep(for: .milliseconds(100))
        }
      }
      defer { group.cancelAll() }
      return try await work()
    }
  }
}
