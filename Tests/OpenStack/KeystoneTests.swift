import TestBed
import Testing

extension OpenStackTests {
  /// A cloud that has a Keystone already: who is let in, as what, and what happens while it is away.
  @Test func keystone() async throws {
    try await Bed.with { bed in
      let keystone = try Keystone(in: bed)
      let page = try Readme(section: "Using it with OpenStack tools")
      let settings = try #require(page.texts.first { $0.hasPrefix("auth: keystone") })
      let password = try bed.folder.write(Keystone.password + "\n", to: "pumice-password")
      try await bed.run(["chmod", "0600", password])
      let cloud = try MemoryCloud(
        in: bed,
        authentication: settings.replacing("http://keystone:5000/v3", with: keystone.url)
          .replacing("/etc/pumice/keystone-password", with: password) + "  cache_time: 300")
      try await keystone.start()
      try await cloud.startDaemons()
      let coordinator = cloud.coordinator
      func walk(_ user: String, _ project: String) -> Walk {
        Walk(bed: bed, client: .openstack, environment: keystone.environment(user, project: project))
      }

      // What README.md has an administrator do, and users whom the page takes for granted.
      let reader = try ReadmeReader(
        page, bed: bed, url: coordinator.url, keystone: keystone.url, password: Keystone.password)
      let block = try #require(page.blocks.first { $0.first == "openstack project create --or-show service" })
      #expect(block.count >= 8 && block.allSatisfy { $0.hasPrefix("openstack ") })
      try await walk("admin", "admin").take(
        block.map { Step.run(reader.fitted(String($0.dropFirst("openstack ".count))).replacing("\"", with: "")) }
          + [.run("project create demo"), .run("project create other"), .run("role create sweeper")]
          + [
            ("alice", "demo", "member"), ("rita", "demo", "reader"), ("sven", "demo", "sweeper"),
            ("otto", "other", "member"),
          ].flatMap { user, project, role in
            [
              Step.run("user create --password \(Keystone.password) \(user)"),
              .run("role add --user \(user) --project \(project) \(role)"),
            ]
          })

      try await reader.walk.take([
        .run("--os-cloud pumice-keystone volume create --size 1 db", shows: ["size": 1]),
        .wait("--os-cloud pumice-keystone volume show db", for: ["status": "available"]),
        .run("--os-cloud pumice-keystone volume list", printing: "db"),
        .run("--os-cloud pumice-keystone server list"),
        .fail("--os-cloud pumice-keystone volume service list", saying: "403"),
      ])
      try await walk("rita", "demo").take([
        .run("volume list", printing: "db"), .fail("volume create --size 1 x", saying: "403"),
      ])
      try await walk("sven", "demo").take([.fail("volume list", saying: "403")])
      try await walk("otto", "other").take([.fail("volume show db", saying: "No Volume found", "No volume")])
      try await walk("admin", "admin").take([
        .run("volume list --all-projects", printing: "db"), .run("volume service list", printing: "cinder-volume"),
      ])

      func token(_ user: String, _ project: String) async throws -> API {
        let shown = try await walk(user, project).take([.run("token issue", shows: [:])])
        return API(url: coordinator.url, token: try #require(shown.first?["id"].string))
      }
      func status(_ api: API) async throws -> Int {
        do {
          _ = try await api.get("/v3/volumes")
          return 200
        } catch let refusal as API.Refusal {
          return refusal.status
        }
      }
      let (known, unseen) = (try await token("alice", "demo"), try await token("alice", "demo"))
      let (revoked, nova) = (try await token("rita", "demo"), try await token("pumice", "service"))
      #expect(try await status(known) == 200)
      #expect(try await status(API(url: coordinator.url, token: "gAAAAAB-not-a-token")) == 401)
      #expect(try await status(API(url: coordinator.url)) == 401)
      try await walk("admin", "admin").take([.run("token revoke \(try #require(revoked.token))")])
      #expect(try await status(revoked) == 401)

      // Who is known goes on for a while, whoever is not is told why; and when Keystone is back, all is well.
      try await keystone.daemon.kill9()
      #expect(try await status(known) == 200)
      #expect(try await status(unseen) == 503)
      try keystone.write(lifetime: 2)
      try await keystone.daemon.start(within: .seconds(60))
      try await eventually("the token is checked again") { try await status(unseen) == 200 }

      // A token at its end goes on where another service vouches for it, and only then.
      let ended = try await token("alice", "demo")
      try await eventually("the token is at its end", within: .seconds(20)) { try await status(ended) == 401 }
      func vouched(_ api: API, by service: String?) -> API {
        API(url: coordinator.url, token: api.token, serviceToken: service)
      }
      #expect(try await status(vouched(ended, by: nova.token)) == 200)
      #expect(try await status(vouched(ended, by: known.token)) == 401)
      #expect(try await status(vouched(known, by: "gAAAAAB-not-a-token")) == 401)
      #expect(try await status(vouched(revoked, by: nova.token)) == 401)
    }
  }
}
