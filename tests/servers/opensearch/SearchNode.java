import java.util.List;
import java.util.Map;

import org.opensearch.common.settings.Settings;
import org.opensearch.http.HttpServerTransport;
import org.opensearch.knn.plugin.KNNPlugin;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.painless.PainlessPlugin;
import org.opensearch.plugins.Plugin;
import org.opensearch.transport.Netty4Plugin;

/**
 * A search server of one node on 127.0.0.1 with k-NN: java SearchNode FOLDER PORT.
 *
 * It is OpenSearch itself, its storage and its REST interface; only what a distribution does before it starts a node
 * is left out: plugins come from the class path, and there is no security manager. Nobody has to log in, so it must
 * never listen on another address. It says its URL once it listens, and ends with its standard input, so that it never
 * outlives whoever started it.
 */
public final class SearchNode extends Node {

    private SearchNode(Settings settings, List<Class<? extends Plugin>> plugins) {
        super(InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), null, () -> "lookalike"), plugins, true);
    }

    public static void main(String[] arguments) throws Exception {
        Settings settings = Settings.builder()
            .put("path.home", arguments[0])
            .put("http.port", arguments[1])
            .put("network.host", "127.0.0.1")
            .put("transport.port", 0)
            .put("cluster.name", "lookalike")
            .put("discovery.type", "single-node")
            // A nearly full disk would leave new indices without a shard.
            .put("cluster.routing.allocation.disk.threshold_enabled", false)
            .build();
        SearchNode node = new SearchNode(settings, List.of(Netty4Plugin.class, PainlessPlugin.class, KNNPlugin.class));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(node)));
        node.start();
        HttpServerTransport http = node.injector().getInstance(HttpServerTransport.class);
        System.out.println("http://" + http.boundAddress().publishAddress());
        while (System.in.read() >= 0) {
            // Nothing is said to it; it waits for the end.
        }
        System.exit(0);
    }

    private static void stop(Node node) {
        try {
            node.close();
        } catch (Exception error) {
            error.printStackTrace();
        }
    }
}
