package ordermesh;

import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginsLoader;

/** Runs one node until it is told to stop: Launcher HOME [-Ename=value]... */
public final class Launcher {
  private Launcher() {}

  public static void main(String[] args) throws Exception {
    Path home = Path.of(args[0]).toAbsolutePath();
    Environment environment = new Environment(settings(home, args), home.resolve("config"));
    LogConfigurator.setNodeName("ordermesh");
    LogConfigurator.configure(environment, true);
    PluginsLoader plugins = PluginsLoader.createPluginsLoader(
        PluginsLoader.loadModulesBundles(home.resolve("modules")),
        PluginsLoader.loadPluginsBundles(home.resolve("plugins")),
        Map.of());
    Node node = new Node(environment, plugins);
    CountDownLatch stopped = new CountDownLatch(1);
    Runtime.getRuntime().addShutdownHook(new Thread(() -> close(node, stopped)));
    node.start();
    System.out.println("started");
    stopped.await();
  }

  /** One node on this machine that speaks plain HTTP, unless told otherwise. */
  private static Settings settings(Path home, String[] args) {
    Settings.Builder settings = Settings.builder()
        .put("path.home", home.toString())
        .put("node.name", "ordermesh")
        .put("cluster.name", "ordermesh")
        .put("network.host", "127.0.0.1")
        .put("discovery.type", "single-node")
        .put("transport.port", "0")
        .put("xpack.security.enabled", false);
    for (int i = 1; i < args.length; i++) {
      String[] parts = args[i].split("=", 2);
      if (!parts[0].startsWith("-E") || parts.length != 2) {
        throw new IllegalArgumentException("expected -Ename=value, not " + args[i]);
      }
      settings.put(parts[0].substring(2), parts[1]);
    }
    return settings.build();
  }

  private static void close(Node node, CountDownLatch stopped) {
    try {
      node.close();
    } catch (Exception error) {
      System.err.println("the node did not close: " + error);
    } finally {
      stopped.countDown();
    }
  }
}
