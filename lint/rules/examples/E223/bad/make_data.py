from caffe_lint.proto import caffe_pb2

model = caffe_pb2.NetParameter()
for name, outputs in (("fc7", 64), ("fc8", 1000)):
    layer = model.layer.add(name=name)
    layer.blobs.add(data=[0.01] * (outputs * 64)).shape.dim.extend((outputs, 64))
    layer.blobs.add(data=[0.0] * outputs).shape.dim.append(outputs)
with open("pretrained.caffemodel", "wb") as file:
    file.write(model.SerializeToString())
